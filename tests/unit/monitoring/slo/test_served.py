"""What served when, and since when it was promoted, follows from the ledger alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.contracts import Action, LedgerEntry
from tasks.monitoring.slo.served import served_by

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def at(days_ago: float) -> datetime:
    return NOW - timedelta(days=days_ago)


def entry(action: Action, days_ago: float, after: str | None, **evidence: Any) -> LedgerEntry:
    unused = {"before": None, "why": "", "evidence_sha256": "", "previous_hash": "", "entry_hash": ""}
    return LedgerEntry(
        sequence=1, at=at(days_ago), model="m", actor="a", action=action, after=after, evidence=evidence,
        **unused,
    )  # fmt: skip


def promoted(run: str, days_ago: float, after: str = "promote") -> LedgerEntry:
    return entry(Action.GATE, days_ago, after, decision={"run_id": run})


def switched(action: Action, version: str | None, run: str, days_ago: float) -> LedgerEntry:
    return entry(action, days_ago, version, route={"run_id": run} if version else None)


def test_a_rollback_brings_back_the_age_of_what_it_goes_back_to() -> None:
    told = [
        promoted("a", 30.5),
        switched(Action.DEPLOY, "1", "a", 30),
        promoted("b", 10.5),
        promoted("b", 9, "hold"),
        switched(Action.DEPLOY, "2", "b", 10),
        switched(Action.ROLLBACK, "1", "a", 2),
    ]
    assert [tuple(each) for each in served_by(told, NOW)] == [
        ("1", at(30), at(10), at(30.5)),
        ("2", at(10), at(2), at(10.5)),
        ("1", at(2), NOW, at(30.5)),
    ]


def test_nothing_serves_after_a_withdrawal_and_what_nobody_judged_is_as_old_as_its_service() -> None:
    told = [
        switched(Action.DEPLOY, "1", "a", 8),
        entry(Action.WITHDRAW, 6, None),
        switched(Action.DEPLOY, "1", "a", 3),
    ]
    assert [tuple(each) for each in served_by(told, NOW)] == [
        ("1", at(8), at(6), at(8)),
        ("1", at(3), NOW, at(8)),
    ]
    assert served_by([], NOW) == []
