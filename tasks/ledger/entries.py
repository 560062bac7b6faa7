"""The ledger: every automatic decision with its evidence, in an append-only, hash-chained table.

An entry's hash covers its fields and the hash of the entry before, so that a changed or missing entry breaks
the chain. Two writers cannot fork it: `previous_hash` is unique, and the one who comes second reads again and
tries once more. What a chain cannot show by itself, its heads show, which are kept elsewhere: that its newest
entries were cut off, or that all of it was written anew (`tasks.ledger.verify`).
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from tasks.contracts import Action, LedgerEntry
from tasks.errors import LedgerBroken
from tasks.ledger import heads
from tasks.ledger.hashes import GENESIS, canonical, entry_hash_of, is_whole, sha256_of
from tasks.ledger.whole_end import require_whole_end
from tasks.stores.database import engine
from tasks.stores.database import ledger_entries as entries
from tasks.stores.utc_time import as_text

Done = TypeVar("Done")

# An entry with its time as the text that is kept: its hash covers that, whatever the text says.
AS_KEPT = sa.select(
    *(sa.type_coerce(column, sa.String) if column is entries.c.at else column for column in entries.c)
)


class End(NamedTuple):
    """Where the next entry joins the chain."""

    sequence: int
    entry_hash: str


class Decision(TypedDict):
    """What an entry says of a decision: who decided what, from what to what, why, and on what evidence."""

    model: str
    actor: str
    action: Action
    before: str | None
    after: str | None
    why: str
    evidence: BaseModel | dict[str, Any]


def record(**decision: Unpack[Decision]) -> LedgerEntry:
    """Append one decision, durably, before it takes effect.

    The same decision by the same actor on the same evidence is written once, however often the step is tried
    again; an actor that may decide the same twice (a person at a shell) names itself or its evidence
    differently each time.

    Raises:
        LedgerBroken: The ledger's end was altered, so that nothing can follow it.
    """
    return in_turn(lambda connection: append(connection, **decision))


def complete(entry: LedgerEntry, why: str) -> LedgerEntry:
    """Say that what an entry decided has taken effect, once."""
    return record(
        model=entry.model,
        actor=entry.actor,
        action=Action.DONE,
        before=entry.before,
        after=entry.after,
        why=why,
        evidence={"completes": entry.entry_hash, "sequence": entry.sequence, "action": entry.action},
    )


def in_turn(act: Callable[[sa.Connection], Done], *, whatever_the_heads_say: bool = False) -> Done:
    """Do in one transaction what appends to the ledger, once more each time that another writer was first;
    then keep the ledger's head outside the database.

    Before, the end is held against the heads that are there: a new one would hide what they tell.

    Args:
        whatever_the_heads_say: A person has looked, and goes on with this ledger.

    Raises:
        LedgerBroken: The ledger's end was altered, so that nothing can follow it.
    """
    if not whatever_the_heads_say:
        require_whole_end(hash_of)
    at_last_failure: str | None = ""
    while True:
        try:
            with engine().begin() as connection:
                done = act(connection)
                newest = end(connection)
        except sa.exc.IntegrityError as error:
            # Another writer took this place in the chain; each such failure means that one entry was written.
            found = _require_open_end(error)
            if found == at_last_failure:
                raise
            at_last_failure = found
        else:
            heads.keep(newest.sequence, newest.entry_hash)
            return done


def append(
    connection: sa.Connection, *, joins: End | None = None, **decision: Unpack[Decision]
) -> LedgerEntry:
    """Append one decision in the caller's transaction, so that
    it and what it allows are written together or not at all.

    Args:
        joins: The end that the decision rests on: it joins there or not at all. None for any end.

    Raises:
        sqlalchemy.exc.IntegrityError: Another writer was first; the caller begins its transaction again.
    """
    content = plain(decision["evidence"])
    evidence_sha256 = sha256_of(content)
    written = _same(connection, decision, evidence_sha256)
    if written is not None:
        return written
    joins = joins or end(connection)
    at = datetime.now(UTC)
    fields = {
        **decision,
        "sequence": joins.sequence + 1,
        "at": as_text(at),
        "evidence": content,
        "evidence_sha256": evidence_sha256,
        "previous_hash": joins.entry_hash,
    }
    entry = {**fields, "entry_hash": entry_hash_of(fields)}
    connection.execute(entries.insert().values({**entry, "at": at, "evidence": canonical(content)}))
    return LedgerEntry.model_validate(entry)


def end(connection: sa.Connection) -> End:
    """The newest entry as the caller's transaction sees it.

    Who decides by the entries before reads this first, so that none that it has not seen lies between.
    """
    newest = sa.select(entries.c.sequence, entries.c.entry_hash).order_by(entries.c.sequence.desc()).limit(1)
    last = connection.execute(newest).first()
    return End(last.sequence, last.entry_hash) if last else End(0, GENESIS)


def newest() -> End | None:
    """The newest entry's place; None in an empty ledger."""
    with engine().connect() as connection:
        last = end(connection)
    return last if last.sequence else None


def find(entry_hash: str) -> LedgerEntry | None:
    """The entry with this hash, None where there is none or where its content is not what the hash says."""
    with engine().connect() as connection:
        row = connection.execute(AS_KEPT.where(entries.c.entry_hash == entry_hash)).first()
    if row is None or not is_whole(row):
        return None
    return entry_of(row)


def history(model: str | None = None, actions: Collection[Action] = ()) -> list[LedgerEntry]:
    """Every entry, oldest first; of one model and of some kinds where they are named.

    Raises:
        LedgerBroken: An entry is none any more.
    """
    query = AS_KEPT.order_by(entries.c.sequence)
    if model:
        query = query.where(entries.c.model == model)
    if actions:
        query = query.where(entries.c.action.in_(list(actions)))
    with engine().connect() as connection:
        return [entry_of(row) for row in connection.execute(query)]


def newest_of(model: str, actions: Collection[Action], most: int) -> list[LedgerEntry]:
    """A model's newest entries of some kinds, at most so many, newest first.

    Raises:
        LedgerBroken: One of them is none any more.
    """
    query = AS_KEPT.where(entries.c.model == model, entries.c.action.in_(list(actions)))
    query = query.order_by(entries.c.sequence.desc()).limit(most)
    with engine().connect() as connection:
        return [entry_of(row) for row in connection.execute(query)]


def models(actions: Collection[Action]) -> list[str]:
    """Everything that an entry of these kinds is about, in the order of the names."""
    query = sa.select(entries.c.model).where(entries.c.action.in_(list(actions))).distinct()
    with engine().connect() as connection:
        return sorted(connection.execute(query).scalars())


def links() -> list[tuple[int, str]]:
    """Sequence and hash of every entry, oldest first, whatever else they hold."""
    query = sa.select(entries.c.sequence, entries.c.entry_hash).order_by(entries.c.sequence)
    with engine().connect() as connection:
        return [(row.sequence, row.entry_hash) for row in connection.execute(query)]


def hash_of(sequence: int) -> str | None:
    """The hash of the entry with this number; None where there is none."""
    query = sa.select(entries.c.entry_hash).where(entries.c.sequence == sequence)
    with engine().connect() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else str(found)


def newest_first(
    connection: sa.Connection, model: str, *actions: Action, since: datetime | None = None
) -> Iterator[LedgerEntry]:
    """A model's entries of these kinds as the caller's transaction sees them."""
    query = AS_KEPT.where(entries.c.model == model, entries.c.action.in_(actions))
    if since is not None:
        query = query.where(entries.c.at >= since)
    for row in connection.execute(query.order_by(entries.c.sequence.desc())):
        yield entry_of(row)


def entry_of(row: sa.Row[Any]) -> LedgerEntry:
    """The entry that a row of `AS_KEPT` holds.

    Raises:
        LedgerBroken: It is none any more.
    """
    try:
        return LedgerEntry.model_validate({**row._asdict(), "evidence": json.loads(row.evidence)})
    except ValueError as error:  # JSON that is none, or not an entry's
        raise LedgerBroken(
            f"Entry {row.sequence} of the ledger cannot be read: somebody changed it. `perennial ledger "
            "--verify` names all that is wrong.",
            sequence=row.sequence,
        ) from error


def broken_entries(known: Iterable[str] = ()) -> list[int]:
    """The sequence numbers that are changed, wrongly linked or
    the first of a gap; empty for a ledger that nobody touched.

    Args:
        known: Hashes of entries that others remember. One that is nowhere in the chain means that its end was
            cut off:
            the number after the last entry is named.

    Raises:
        LedgerBroken: The table lacks a column, so that no entry can be read.
    """
    broken: list[int] = []
    expected, previous, seen = 1, GENESIS, set()
    with engine().connect() as connection:
        there = {column["name"] for column in sa.inspect(connection).get_columns(entries.name)}
        if missing := [column.name for column in entries.c if column.name not in there]:
            raise LedgerBroken(
                f"The ledger is broken: its table `ledger` lacks the columns {missing}, so that no entry can "
                "be read. Restore the table from a backup.",
                missing=missing,
            )
        for row in connection.execute(AS_KEPT.order_by(entries.c.sequence)):
            if row.sequence > expected:
                broken.append(expected)
            if row.previous_hash != previous or row.sequence < expected or not is_whole(row):
                broken.append(row.sequence)
            expected, previous = row.sequence + 1, row.entry_hash
            seen.add(row.entry_hash)
    if set(known) - seen:
        broken.append(expected)
    return broken


def broken_at_end(most: int) -> list[int]:
    """Those of the newest entries, at most so many, that are changed or do not follow the one before."""
    newest = AS_KEPT.order_by(entries.c.sequence.desc()).limit(most + 1)
    with engine().connect() as connection:
        rows = list(connection.execute(newest))[::-1]
    first = End(0, GENESIS)
    if len(rows) > most:
        first = End(rows[0].sequence, rows[0].entry_hash)
        rows = rows[1:]
    before = [first, *(End(row.sequence, row.entry_hash) for row in rows)]
    return [
        row.sequence
        for row, (sequence, entry_hash) in zip(rows, before, strict=False)
        if row.sequence != sequence + 1 or row.previous_hash != entry_hash or not is_whole(row)
    ]


def _require_open_end(conflict: sa.exc.IntegrityError) -> str | None:
    """The newest entry's hash, after which there is none.

    One statement looks, so that an entry of another writer is seen as the newest or not at all.
    """
    newest = sa.select(entries.c.entry_hash).order_by(entries.c.sequence.desc()).limit(1).scalar_subquery()
    with engine().connect() as connection:
        after = connection.execute(
            sa.select(entries.c.sequence).where(entries.c.previous_hash == newest)
        ).scalar()
        entry_hash = connection.execute(sa.select(newest)).scalar()
    if after is not None:
        raise LedgerBroken(
            f"The ledger is broken: the entry numbered {after} follows the newest one. Nothing can be "
            "recorded, so nothing is decided. Compare the table `ledger` with a backup; `broken_entries` of "
            "tasks.ledger.entries names what is broken.",
            follows_the_newest=after,
        ) from conflict
    return None if entry_hash is None else str(entry_hash)


def _same(connection: sa.Connection, decision: Decision, evidence_sha256: str) -> LedgerEntry | None:
    row = connection.execute(
        AS_KEPT.where(
            entries.c.evidence_sha256 == evidence_sha256,
            entries.c.model == decision["model"],
            entries.c.actor == decision["actor"],
            entries.c.action == decision["action"],
        )
    ).first()
    return None if row is None else entry_of(row)


def plain(evidence: BaseModel | dict[str, Any]) -> dict[str, Any]:
    """The evidence as JSON would read it back, so that its hash is the same
    before and after it was stored.
    """
    content: dict[str, Any] = to_jsonable_python(evidence, inf_nan_mode="strings", serialize_unknown=True)
    return content
