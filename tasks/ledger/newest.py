"""The newest of a model's entries by what they say, however many others were written since."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

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


class Line(NamedTuple):
    """An entry without its evidence: enough for a list of many."""

    sequence: int
    at: datetime
    model: str
    actor: str
    action: str
    before: str | None
    after: str | None
    why: str


def newest_of_each(most: Mapping[Action, int], model: str | None = None) -> list[LedgerEntry]:
    """The newest entries of every model, at most so many of each kind, oldest first; of one where named.

    One question, and no evidence is read but that of these, however much the ledger has.

    Raises:
        LedgerBroken: One of them is none any more.
    """
    place = sa.func.row_number().over(
        partition_by=(entries.c.model, entries.c.action), order_by=entries.c.sequence.desc()
    )
    ranked = sa.select(entries.c.sequence, entries.c.action, place.label("place"))
    ranked = ranked.where(entries.c.action.in_([str(kind) for kind in most]))
    of = (ranked.where(entries.c.model == model) if model else ranked).subquery()
    kept = sa.or_(*(sa.and_(of.c.action == str(kind), of.c.place <= count) for kind, count in most.items()))
    query = AS_KEPT.where(entries.c.sequence.in_(sa.select(of.c.sequence).where(kept)))
    return _read(query.order_by(entries.c.sequence))


def lines_of(
    model: str, most: int, *, before: int | None = None, without: Collection[Action] = ()
) -> list[Line]:
    """A model's newest entries without their evidence, newest first, at most so many.

    Args:
        before: Only those with a smaller number.
        without: Kinds that are left out.
    """
    wanted = [entries.c[name] for name in Line._fields]
    query = sa.select(*wanted).where(entries.c.model == model)
    if before is not None:
        query = query.where(entries.c.sequence < before)
    if without:
        query = query.where(entries.c.action.not_in([str(kind) for kind in without]))
    with engine().connect() as connection:
        rows = connection.execute(query.order_by(entries.c.sequence.desc()).limit(most))
        return [Line(*row) for row in rows]


def numbered(sequence: int) -> LedgerEntry | None:
    """The entry with this number; None where there is none.

    Raises:
        LedgerBroken: It is none any more.
    """
    return next(iter(_read(AS_KEPT.where(entries.c.sequence == sequence))), None)
