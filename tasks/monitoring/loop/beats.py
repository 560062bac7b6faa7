"""When the loop was last at work, and which channels were told that it is not."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from tasks.contracts import Told
from tasks.monitoring.loop.silence import told_before
from tasks.stores.database import engine
from tasks.stores.database import loop_beats as beats
from tasks.stores.database import loop_told as told

LOOP = "reconcile_ledger"
"""The DAG of each minute."""


def beat(at: datetime, loop: str = LOOP) -> None:
    """Write down that the loop, or another one that is named, is at work."""
    with engine().begin() as connection:
        if connection.execute(beats.update().where(beats.c.loop == loop).values(at=at)).rowcount == 0:
            connection.execute(beats.insert().values(loop=loop, at=at))


def newest_beat(loop: str = LOOP) -> datetime | None:
    """When the loop was last at work; None where it never was."""
    with engine().connect() as connection:
        return connection.execute(sa.select(beats.c.at).where(beats.c.loop == loop)).scalar()


def told_of_silence() -> dict[str, Told]:
    """The channels that were told that the loop is silent, and not that it is back."""
    with engine().connect() as connection:
        return {row.channel: told_before(row.since, row.told_at) for row in connection.execute(told.select())}


def keep_told(channels: Mapping[str, Told]) -> None:
    """Write down which channels were told, in the place of all that was written."""
    rows = [
        {"channel": name, "since": each.since, "told_at": each.told_at} for name, each in channels.items()
    ]
    with engine().begin() as connection:
        connection.execute(told.delete())
        if rows:
            connection.execute(told.insert(), rows)
