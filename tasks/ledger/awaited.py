"""Look whether a decision that somebody waits for is in the ledger, by one small query."""

from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from tasks.contracts import Action
from tasks.ledger.entries import End
from tasks.stores.database import engine
from tasks.stores.database import ledger_entries as entries


def first_since(model: str, action: Action, outcomes: Collection[str], since: datetime | int) -> End | None:
    """Number and hash of a model's first decision of a kind that came out as one of `outcomes`; None where
    there is none yet. The oldest one, so that who asks again later is told the same.

    Args:
        outcomes: What the entry's `after` may be; empty for anything.
        since: A time, or the number of the entry that it has to come after.
    """
    query = sa.select(entries.c.sequence, entries.c.entry_hash).where(_since(model, action, since))
    if outcomes:
        query = query.where(entries.c.after.in_(sorted(outcomes)))
    with engine().connect() as connection:
        found = connection.execute(query.order_by(entries.c.sequence).limit(1)).first()
    return End(found.sequence, found.entry_hash) if found else None


def outcomes_since(model: str, action: Action, since: datetime | int) -> list[str]:
    """How a model's decisions of a kind came out, oldest first."""
    query = sa.select(entries.c.after).where(_since(model, action, since)).order_by(entries.c.sequence)
    with engine().connect() as connection:
        return [str(after) for after in connection.execute(query).scalars()]


def _since(model: str, action: Action, since: datetime | int) -> sa.ColumnElement[bool]:
    later = entries.c.sequence > since if isinstance(since, int) else entries.c.at >= since.astimezone(UTC)
    return sa.and_(entries.c.model == model, entries.c.action == action, later)
