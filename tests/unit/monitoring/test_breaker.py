"""A person closes the breaker with a reason, once, and only where something has come to nothing."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.contracts import Action, CloseBreakerRequest, StepContext
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring.close_breaker import came_to_nothing, close_breaker
from tests.unit import judged


def close_request(
    reason: str, key: str = "close_breaker_model/manual__1/close_breaker"
) -> CloseBreakerRequest:
    context = StepContext(actor=f"airflow:{key}, asked for by ann", step_key=key, work_url="unused")
    return CloseBreakerRequest(context=context, model=judged.MODEL, reason=reason)


def refuse_candidates(*run_ids: str) -> None:
    """Retrains that the gate refused, as their entries say."""
    for run_id in run_ids:
        granted = entries.record(
            model=judged.MODEL,
            actor="airflow:drift",
            action=Action.RETRAIN,
            before=None,
            after="granted",
            why="w",
            evidence={"train_run_id": f"retrain__{run_id}", "drift_decision": "d" * 64},
        )
        entries.record(
            model=judged.MODEL,
            actor="airflow:train",
            action=Action.GATE,
            before=None,
            after="reject",
            why="w",
            evidence={
                "decision": {"run_id": run_id, "rules": []},
                "circumstances": {"drift": granted.entry_hash},
            },
        )


def test_a_closing_says_who_why_and_which_retrains(home: Path) -> None:
    refuse_candidates("1", "2")

    closed = close_breaker(close_request("The labels were late."))

    assert (closed.failures, closed.trainings) == (2, ("retrain__2", "retrain__1"))
    entry = entries.find(closed.ledger_hash)
    assert entry is not None
    assert (entry.action, entry.after, entry.why) == ("breaker", "closed", "The labels were late.")
    assert entry.actor.endswith("asked for by ann")
    assert came_to_nothing(judged.MODEL) == []


def test_a_breaker_that_is_closed_is_not_closed_twice_but_a_step_may_be_tried_again(home: Path) -> None:
    refuse_candidates("1", "2", "3")
    first = close_breaker(close_request("The labels were late."))

    assert close_breaker(close_request("The labels were late.")) == first
    with pytest.raises(InvalidRequest, match=f"The breaker of {judged.MODEL!r} is closed"):
        close_breaker(close_request("Once more.", key="close_breaker_model/manual__2/close_breaker"))
    assert len(entries.history(judged.MODEL, [Action.BREAKER])) == 1


def test_a_model_that_nobody_knows_has_no_breaker_to_close(home: Path) -> None:
    with pytest.raises(InvalidRequest, match="Nothing is to be done"):
        close_breaker(close_request("I am bored."))


def test_a_blank_reason_closes_nothing() -> None:
    with pytest.raises(ValidationError, match="ledger keeps why"):
        close_request("  ")


def test_what_failed_after_the_closing_counts_from_one(home: Path) -> None:
    refuse_candidates("1", "2", "3")
    close_breaker(close_request("The labels were late."))
    refuse_candidates("4")
    assert [each.run_id for each in came_to_nothing(judged.MODEL)] == ["retrain__4"]
