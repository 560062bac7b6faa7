"""What the look of each minute found last: when it was, and where what is there is not what the ledger says.

For people who look meanwhile: what settles it looks for itself.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from tasks.contracts import Mismatch
from tasks.monitoring.loop.beats import beat, newest_beat
from tasks.stores.database import disagreements as table
from tasks.stores.database import engine

LOOK = "reconcile_ledger/look"
"""How the comparison is named among the loops."""


class Disagreement(NamedTuple):
    """Something of a model that is not as the ledger says; `since` it was found first, `why` a sentence."""

    model: str
    why: str
    since: datetime


def note(found: Iterable[Mismatch], at: datetime) -> None:
    """Keep what a look found, in the place of what the one before did; what it found, too, keeps its time."""
    since = {(each.model, each.why): each.since for each in disagreements()}
    keys = dict.fromkeys((each.model, each.why) for each in found)
    rows = [{"model": model, "why": why, "since": since.get((model, why), at)} for model, why in keys]
    with engine().begin() as connection:
        connection.execute(table.delete())
        if rows:
            connection.execute(table.insert(), rows)
    beat(at, LOOK)


def note_settled() -> None:
    """Forget what was found, since nothing of it was left."""
    with engine().begin() as connection:
        connection.execute(table.delete())


def disagreements(model: str | None = None) -> list[Disagreement]:
    """What was found last and is not settled yet; of a model where it is named."""
    query = table.select().order_by(table.c.model, table.c.since, table.c.why)
    if model:
        query = query.where(table.c.model == model)
    with engine().connect() as connection:
        return [Disagreement(row.model, row.why, row.since) for row in connection.execute(query)]


def looked_at() -> datetime | None:
    """When what is there was last held against the ledger; None where it never was."""
    return newest_beat(LOOK)
