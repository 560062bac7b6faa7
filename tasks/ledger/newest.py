"""The newest of a model's entries by what they say, however many others were written since."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry
from tasks.ledger.entries import AS_KEPT, entry_of
from tasks.stores.database import engine
from tasks.stores.database import ledger_entries as entries


def last_words(model: str, action: Action, decided: Collection[str] = ()) -> list[LedgerEntry]:
    """The newest entry of a kind about each thing that `before` names, newest first; where `decided` is
    given, those of them that say one of these in `after`.

    Raises:
        LedgerBroken: One of them is none any more.
    """
    last = (
        sa.select(sa.func.max(entries.c.sequence))
        .where(entries.c.model == model, entries.c.action == action)
        .group_by(entries.c.before)
    )
    query = _saying(model, action, decided).where(entries.c.sequence.in_(last))
    return _read(query.order_by(entries.c.sequence.desc()))


def ends_of(
    model: str, action: Action, decided: Collection[str], *, most: int, later_than: int = 0
) -> list[LedgerEntry]:
    """The newest entries of a kind that say one of these in `after`, at most so many, and the oldest of all
    of them; newest first.

    Args:
        later_than: Of a greater sequence number only.

    Raises:
        LedgerBroken: One of them is none any more.
    """
    query = _saying(model, action, decided).where(entries.c.sequence > later_than)
    newest = _read(query.order_by(entries.c.sequence.desc()).limit(most))
    oldest = _read(query.order_by(entries.c.sequence).limit(1)) if len(newest) == most else []
    return newest + [each for each in oldest if each.sequence < newest[-1].sequence]


def _saying(model: str, action: Action, decided: Collection[str]) -> sa.Select[Any]:
    query = AS_KEPT.where(entries.c.model == model, entries.c.action == action)
    return query.where(entries.c.after.in_(list(decided))) if decided else query


def _read(query: sa.Select[Any]) -> list[LedgerEntry]:
    with engine().connect() as connection:
        return [entry_of(row) for row in connection.execute(query)]
