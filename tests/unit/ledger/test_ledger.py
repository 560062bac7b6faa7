"""The ledger: nothing is lost, nothing is forked, and nothing can be changed unseen."""

import hashlib
import json
import math
import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry, Metric
from tasks.errors import LedgerBroken
from tasks.ledger import entries, heads
from tasks.ledger.hashes import GENESIS
from tasks.settings import settings
from tasks.stores.database import engine, ledger_entries
from tests.unit.tampering import tamper


def decide(number: int, **changes: Any) -> LedgerEntry:
    decision: dict[str, Any] = {
        "model": "reviews",
        "actor": f"airflow:run_{number}",
        "action": "gate",
        "before": "3",
        "after": "promote",
        "why": "accuracy 0.91 is above 0.8",
        "evidence": {"accuracy": 0.91, "rows": number},
    }
    return entries.record(**(decision | changes))


REFUSED = (
    "UPDATE ledger SET why = 'otherwise'",
    "UPDATE ledger SET sequence = 7 WHERE sequence = 2",
    "UPDATE OR IGNORE ledger SET sequence = 1 WHERE sequence = 2",
    "DELETE FROM ledger",
    "DELETE FROM ledger WHERE sequence = 2",
    "INSERT OR REPLACE INTO ledger SELECT sequence, at, model, actor, action, before, after, 'otherwise', "
    "evidence, evidence_sha256, previous_hash, entry_hash FROM ledger WHERE sequence = 2",
    "REPLACE INTO ledger SELECT 9, at, model, actor, action, before, after, 'otherwise', evidence, "
    "evidence_sha256, previous_hash, 'f' FROM ledger WHERE sequence = 2",
    "INSERT INTO ledger SELECT * FROM ledger WHERE true ON CONFLICT DO UPDATE SET why = 'otherwise'",
)


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_changes_and_removes_no_entry_whoever_asks(home: Path, statement: str) -> None:
    written = [decide(number) for number in range(1, 4)]
    file = settings().database.removeprefix("sqlite:///")

    with sqlite3.connect(file) as another, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        another.execute(statement)

    assert entries.history() == written
    assert decide(4).sequence == 4


def test_a_ledger_of_an_earlier_version_becomes_append_only(home: Path) -> None:
    decide(1)
    tamper()
    engine.cache_clear()

    with engine().begin() as connection, pytest.raises(sa.exc.IntegrityError, match="append-only"):
        connection.execute(ledger_entries.delete())

    assert len(entries.history()) == 1


def test_entries_are_numbered_linked_and_whole(home: Path) -> None:
    first, second = decide(1), decide(2)

    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.previous_hash, second.previous_hash) == (GENESIS, first.entry_hash)
    assert entries.history("reviews") == [first, second]
    assert entries.history("flights") == []
    assert entries.find(second.entry_hash) == second
    assert entries.broken_entries(known=[first.entry_hash]) == []


def test_the_same_decision_by_the_same_actor_is_written_once(home: Path) -> None:
    assert decide(1) == decide(1)
    assert len(entries.history()) == 1


def test_another_actor_evidence_or_action_is_another_entry(home: Path) -> None:
    decide(1)
    decide(1, actor="somebody else")
    decide(1, evidence={"accuracy": 0.92})
    decide(1, action="deploy")
    decide(1, model="flights")

    assert len(entries.history()) == 5
    assert entries.broken_entries() == []


@pytest.mark.parametrize("field", [column.name for column in ledger_entries.columns])
def test_a_change_of_any_field_is_found(home: Path, field: str) -> None:
    for number in range(1, 4):
        decide(number)
    changed: dict[str, Any] = {
        "sequence": 7,
        "at": datetime.now(UTC),
        "evidence": json.dumps({"accuracy": 0.99}),
    }

    tamper(
        ledger_entries.update()
        .where(ledger_entries.c.sequence == 2)
        .values({field: changed.get(field, "f" * 64)})
    )

    assert 2 in entries.broken_entries() or 7 in entries.broken_entries()


def test_evidence_that_is_no_json_any_more_is_found_and_not_trusted(home: Path) -> None:
    entry = decide(1)
    tamper(ledger_entries.update().values(evidence="{"))

    assert entries.broken_entries() == [1]
    assert entries.find(entry.entry_hash) is None


@pytest.mark.parametrize(
    "change",
    [
        {"evidence": "{"},
        {"evidence": "[]"},
        {"action": "none"},
        {"at": sa.literal("yesterday", sa.String)},
    ],
)
def test_who_reads_an_entry_that_is_none_any_more_gets_a_sentence(home: Path, change: dict[str, Any]) -> None:
    decide(1)
    tamper(ledger_entries.update().values(change))
    with pytest.raises(LedgerBroken, match="Entry 1 of the ledger cannot be read"):
        entries.history()


def test_a_time_that_is_no_time_any_more_is_found_and_not_trusted(home: Path) -> None:
    entry = decide(1)
    tamper(ledger_entries.update().values(at=sa.literal("yesterday", sa.String)))

    assert entries.broken_entries() == [1]
    assert entries.find(entry.entry_hash) is None
    assert decide(2).previous_hash == entry.entry_hash


def test_an_entry_of_an_earlier_version_keeps_its_hash(home: Path) -> None:
    """It wrote a moment on the very second without microseconds, and the hash covers what it wrote."""
    decide(1)
    with engine().connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM ledger")).mappings().one()
    fields = {**row, "at": "2026-01-02T03:04:05+00:00", "evidence": json.loads(row["evidence"])}
    del fields["entry_hash"]
    entry_hash = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    written = {"at": fields["at"], "entry_hash": entry_hash}
    tamper(sa.text("UPDATE ledger SET at = :at, entry_hash = :entry_hash").bindparams(**written))

    found = entries.find(entry_hash)

    assert found is not None
    assert found.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [entry.at for entry in entries.history()] == [found.at]
    assert entries.broken_entries() == []


def test_a_change_whose_hashes_were_made_to_fit_breaks_the_link_of_the_next(home: Path) -> None:
    decide(1)
    decide(2)
    forged = decide(1, actor="forger")
    tamper(
        ledger_entries.delete().where(ledger_entries.c.sequence == 3),
        ledger_entries.update()
        .where(ledger_entries.c.sequence == 1)
        .values(actor=forged.actor, entry_hash=forged.entry_hash),
    )

    assert entries.broken_entries() == [1, 2]


@pytest.mark.parametrize(("missing", "named"), [(1, [1, 2]), (2, [2, 3]), (3, [3])])
def test_a_missing_entry_is_found(home: Path, missing: int, named: list[int]) -> None:
    known = [decide(number).entry_hash for number in range(1, 4)]

    tamper(ledger_entries.delete().where(ledger_entries.c.sequence == missing))

    assert entries.broken_entries(known) == sorted({*named, *([4] if missing < 3 else [])})


def test_a_ledger_that_lost_a_column_is_broken(home: Path) -> None:
    decide(1)
    tamper(sa.text("ALTER TABLE ledger DROP COLUMN why"))

    with pytest.raises(LedgerBroken, match=r"lacks the columns \['why'\].*Restore the table from a backup"):
        entries.broken_entries()


@pytest.mark.parametrize("sequence", [0, -7])
@pytest.mark.timeout(20)
def test_nothing_is_recorded_after_an_end_that_was_altered(home: Path, sequence: int) -> None:
    for number in range(1, 4):
        decide(number)
    tamper(ledger_entries.update().where(ledger_entries.c.sequence == 3).values(sequence=sequence))
    for head in (Path(settings().ledger) / heads.FOLDER).rglob("*.json"):  # which tell of it otherwise
        head.unlink()

    with pytest.raises(LedgerBroken, match=f"the entry numbered {sequence} follows the newest one"):
        decide(4)


@pytest.mark.timeout(20)
def test_what_the_table_refuses_is_not_tried_for_ever(home: Path) -> None:
    decide(1)
    with pytest.raises(sa.exc.IntegrityError):
        decide(2, why=None)


def test_evidence_of_any_kind_keeps_its_hash_through_the_store(home: Path) -> None:
    decide(
        1,
        evidence={
            "at": datetime.now(UTC),
            "path": Path("x"),
            "pair": (1, 2),
            3: "int key",
            "text": "ü \x00 \ud83d half a pair",
        },
    )
    decide(2, evidence=Metric(name="accuracy", value=float("nan"), low=float("-inf"), high=1))
    decide(3, evidence={"entry_hash": "a field of that name"})

    assert entries.broken_entries() == []
    assert math.isnan(Metric.model_validate(entries.history()[1].evidence).value)
    tamper(
        ledger_entries.update()
        .where(ledger_entries.c.sequence == 3)
        .values(evidence=json.dumps({"entry_hash": "changed"}))
    )
    assert entries.broken_entries() == [3]


def test_threads_do_not_fork_the_chain(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decide, range(40)))

    assert len(entries.history()) == 40
    assert entries.broken_entries() == []


def test_processes_that_start_together_on_no_database_lose_nothing(home: Path) -> None:
    """They race for making the tables, for the journal's mode and for every place in the chain."""
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(12)

    def process(first: int) -> None:
        gate.wait(timeout=60)
        for number in range(first, first + 5):
            decide(number)

    writers = [fork.Process(target=process, args=(100 * number,)) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)

    assert [writer.exitcode for writer in writers] == [0] * 12
    assert len(entries.history()) == 60
    assert entries.broken_entries() == []


def test_a_failed_transaction_leaves_no_entry(home: Path) -> None:
    connection = engine().connect()
    entries.append(
        connection, model="m", actor="a", action=Action.DRIFT, before=None, after=None, why="w", evidence={}
    )
    connection.close()

    assert entries.history() == []
