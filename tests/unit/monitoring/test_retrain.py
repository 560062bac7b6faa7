"""Retrain requests: many ask, one is granted, and a lost training does not block its model for ever."""

import multiprocessing
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.contracts import (
    Approval,
    ColumnDistance,
    DriftDecision,
    RetrainRequest,
    RetrainTicket,
    StepContext,
    Verdict,
)
from tasks.errors import InvalidRequest, LedgerBroken
from tasks.ledger import entries
from tasks.monitoring import closing, retrain
from tasks.spec import PipelineSpec
from tasks.spec.monitor import RetrainBudget
from tasks.stores.database import engine, ledger_entries, retrain_requests
from tests.unit.tampering import tamper

PROJECT = Path(__file__).resolve().parents[3]
SPEC = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
MODEL = SPEC.name


def drift(verdict: str = "retrain", *, recorded: bool = True, **changes: Any) -> DriftDecision:
    fields: dict[str, Any] = {
        "model": MODEL,
        "champion_run_id": "run",
        "window_start": datetime(2026, 1, 1, tzinfo=UTC),
        "window_end": datetime(2026, 1, 2, tzinfo=UTC),
        "window_rows": 500,
        "reference_rows": 500,
        "verdict": verdict,
        "domain_auc": 0.97,
        "null_auc": 0.55,
        "threshold": 0.65,
        "columns": (),
        "new_rows": 900,
        "validation": None,
        "why": "The traffic changed: 0.97 is above 0.65.",
        "report_url": None,
    }
    decision = DriftDecision(**(fields | changes))
    if not recorded:
        return decision
    entry = entries.record(
        model=MODEL,
        actor="drift",
        action="drift",
        before=None,
        after=verdict,
        why=decision.why,
        evidence={"decision": decision},
    )
    return decision.model_copy(update={"ledger_hash": entry.entry_hash})


def request(key: str, decision: DriftDecision | None = None, **monitor: Any) -> RetrainRequest:
    spec = SPEC.model_copy(update={"monitor": SPEC.monitor.model_copy(update=monitor)})
    context = StepContext(actor=f"airflow:{key}", step_key=key, work_url="unused")
    return RetrainRequest(context=context, spec=spec, decision=decision)


def ask(key: str, decision: DriftDecision | None = None, **monitor: Any) -> RetrainTicket:
    return retrain.retrain(request(key, decision, **monitor))


def age(seconds: float) -> None:
    """Let every request have been granted `seconds` earlier."""
    earlier = timedelta(seconds=seconds)
    with engine().begin() as connection:
        for row in connection.execute(retrain_requests.select()).all():
            connection.execute(
                retrain_requests.update()
                .where(retrain_requests.c.request_id == row.request_id)
                .values(granted_at=row.granted_at - earlier, expires_at=row.expires_at - earlier)
            )


def answers() -> list[str | None]:
    return [entry.after for entry in entries.history(MODEL) if entry.action == "retrain"]


def test_a_drift_decision_is_granted_and_recorded_with_its_reason(home: Path) -> None:
    decision = drift()

    ticket = ask("drift/run_1/retrain", decision)

    assert ticket.granted
    assert ticket.reason == decision.why
    assert ticket.train_run_id is not None
    assert ticket.train_run_id.startswith("retrain__")
    entry = entries.history(MODEL)[-1]
    assert (entry.action, entry.after, entry.evidence["drift_decision"]) == (
        "retrain",
        "granted",
        decision.ledger_hash,
    )
    assert [open_.train_run_id for open_ in retrain.open_requests()] == [ticket.train_run_id]


def test_a_step_that_is_tried_again_gets_the_same_ticket(home: Path) -> None:
    first = ask("step")
    assert ask("step") == first
    assert answers() == ["granted"]


def test_a_step_whose_training_ended_asks_anew_under_the_same_rules(home: Path) -> None:
    first = ask("step", cooldown_seconds=600)
    closing.close(MODEL, str(first.train_run_id))

    assert "ask again in 10 min" in ask("step", cooldown_seconds=600).reason
    age(601)
    again = ask("step", cooldown_seconds=600)

    assert again.granted
    assert again.train_run_id != first.train_run_id
    assert ask("step", cooldown_seconds=600) == again
    assert "has not ended" in ask("another step", cooldown_seconds=0).reason
    assert answers() == ["granted", "refused", "granted", "refused"]


def test_a_ticket_that_started_nothing_is_asked_for_again_without_a_pause(home: Path) -> None:
    first = ask("step", drift(), cooldown_seconds=600)
    assert retrain.is_open(MODEL, str(first.train_run_id))
    assert closing.close_unstarted(MODEL, str(first.train_run_id), "Its DAG is paused.", "tests")
    assert not retrain.is_open(MODEL, str(first.train_run_id))

    again = ask("step", drift(), cooldown_seconds=600)

    assert again.granted
    assert [open_.train_run_id for open_ in retrain.open_requests()] == [again.train_run_id]
    assert "has not ended" in ask("another step", cooldown_seconds=0).reason


def test_a_ticket_that_got_lost_is_given_again_also_while_nothing_could_start_so_that_it_is_closed(
    home: Path,
) -> None:
    first = ask("one")
    paused = request("one").model_copy(update={"hindrance": "Its DAG is paused."})

    assert retrain.retrain(paused) == first
    assert closing.close_unstarted(MODEL, str(first.train_run_id), "Its DAG is paused.", "tests")
    assert retrain.retrain(paused).reason == "Its DAG is paused."
    assert retrain.open_requests() == []
    assert answers() == ["granted", "not started", "refused"]


def test_a_second_request_is_refused_while_the_first_trains_and_during_the_pause(home: Path) -> None:
    first = ask("one", cooldown_seconds=600)

    assert "has not ended" in ask("two", cooldown_seconds=600).reason
    assert closing.close(MODEL, str(first.train_run_id))
    age(500)
    assert "ask again in 100 s" in ask("three", cooldown_seconds=600).reason
    age(101)
    assert ask("four", cooldown_seconds=600).granted
    assert answers() == ["granted", "refused", "refused", "granted"]


def test_a_clock_that_is_seconds_behind_neither_refuses_nor_tells_of_a_time_to_come(home: Path) -> None:
    first = ask("one")
    age(-30)
    assert "granted 0 s ago" in ask("two").reason
    closing.close(MODEL, str(first.train_run_id))

    assert "granted 0 s ago" in ask("three", cooldown_seconds=600).reason
    assert ask("four", cooldown_seconds=0).granted


def test_a_refused_step_may_be_granted_when_it_asks_again(home: Path) -> None:
    first = ask("one", cooldown_seconds=0)
    assert not ask("two", cooldown_seconds=0).granted
    closing.close(MODEL, str(first.train_run_id))

    second = ask("two", cooldown_seconds=0)

    assert second.granted
    assert second.train_run_id != first.train_run_id


def test_what_could_not_start_is_refused_with_that_reason_and_holds_no_lock(home: Path) -> None:
    paused = request("one").model_copy(update={"hindrance": "Its DAG is paused."})

    ticket = retrain.retrain(paused)

    assert (ticket.granted, ticket.train_run_id, ticket.reason) == (False, None, "Its DAG is paused.")
    assert retrain.open_requests() == []
    assert answers() == ["refused"]
    assert ask("two").granted


def test_closing_twice_or_what_nobody_requested_does_nothing(home: Path) -> None:
    ticket = ask("one")

    assert not closing.close(MODEL, "manual__2026-01-01")
    assert not closing.close("flight_delay", str(ticket.train_run_id))
    assert closing.close(MODEL, str(ticket.train_run_id))
    assert not closing.close(MODEL, str(ticket.train_run_id))


def test_a_training_that_is_never_heard_of_again_expires(home: Path) -> None:
    lost = ask("one")
    age(closing.longest_seconds(SPEC) - 60)
    assert not ask("two").granted
    age(61)

    ticket = ask("three")

    assert ticket.granted
    assert not closing.close(MODEL, str(lost.train_run_id))
    assert answers() == ["granted", "refused", "expired", "granted"]


@pytest.mark.parametrize("verdict", sorted(set(get_args(Verdict)) - {"retrain"}))
def test_bad_data_or_no_drift_never_leads_to_a_training(home: Path, verdict: str) -> None:
    decision = drift(verdict)
    with pytest.raises(InvalidRequest, match=verdict):
        ask("one", decision)
    assert retrain.open_requests() == []


def test_a_decision_that_was_never_recorded_is_refused(home: Path) -> None:
    invented = drift(recorded=False)
    quiet = drift("quiet")
    for decision in (
        invented,
        invented.model_copy(update={"ledger_hash": quiet.ledger_hash}),
        drift(model="flight_delay"),
    ):
        with pytest.raises(InvalidRequest, match=r"not in the ledger|is about"):
            ask("one", decision)
    assert answers() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"why": "I made this up."},
        {"champion_run_id": "another"},
        {"new_rows": 0},
        {"domain_auc": float("nan")},
        {"window_rows": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_decision_that_differs_from_its_entry_is_refused(home: Path, changes: dict[str, Any]) -> None:
    forged = drift().model_copy(update=changes)
    with pytest.raises(InvalidRequest, match="differs from what the ledger holds as entry 1"):
        ask("one", forged)
    assert retrain.open_requests() == []


def test_a_decision_with_a_number_that_is_none_is_itself_again_through_json(home: Path) -> None:
    distance = ColumnDistance(column="text", distance=float("nan"), method="ROC AUC")
    decision = drift(columns=(distance,))
    assert ask("one", DriftDecision.model_validate_json(decision.model_dump_json())).granted


def test_an_entry_that_holds_no_decision_starts_no_training(home: Path) -> None:
    decision = drift(recorded=False)
    entry = entries.record(
        model=MODEL, actor="drift", action="drift", before=None, after="retrain", why="w", evidence={}
    )
    with pytest.raises(InvalidRequest, match="differs from what the ledger holds"):
        ask("one", decision.model_copy(update={"ledger_hash": entry.entry_hash}))


def test_a_decision_that_asks_counts_only_with_what_a_person_said(home: Path) -> None:
    decision = drift("ask", follows="rebuild")
    said = Approval(approved=True, by="ann", at=datetime(2026, 1, 2, tzinfo=UTC), why="The wind is new.")

    with pytest.raises(InvalidRequest, match="says 'ask', not 'retrain'"):
        ask("one", decision)
    ticket = retrain.retrain(request("one", decision).model_copy(update={"approval": said}))

    assert ticket.granted
    assert ticket.reason == f"{decision.why} ann agreed: The wind is new."
    evidence = entries.history(MODEL)[-1].evidence
    assert (evidence["approval"]["by"], evidence["follows"]) == ("ann", "rebuild")


@pytest.mark.parametrize(
    ("by", "reason"),
    [("ann", "ann was asked .* and said no: It rained."), (None, "nobody answered in time")],
)
def test_what_a_person_did_not_approve_is_refused_and_put_down(
    home: Path, by: str | None, reason: str
) -> None:
    said = Approval(approved=False, by=by, at=datetime(2026, 1, 2, tzinfo=UTC), why="It rained.")

    ticket = retrain.retrain(request("one", drift("ask")).model_copy(update={"approval": said}))

    assert not ticket.granted
    assert re.search(reason, entries.history(MODEL)[-1].why)
    assert retrain.open_requests() == []


def test_an_approval_does_not_turn_a_quiet_decision_into_a_training(home: Path) -> None:
    said = Approval(approved=True, by="ann", at=datetime(2026, 1, 2, tzinfo=UTC))
    for verdict in ("quiet", "suggest", "stopped", "wait"):
        with pytest.raises(InvalidRequest, match=verdict):
            retrain.retrain(request("one", drift(verdict)).model_copy(update={"approval": said}))


def test_decisions_that_were_made_before_are_held_to_the_budget_when_they_are_granted(home: Path) -> None:
    decisions = [drift(window_rows=500 + number) for number in range(4)]
    budget = {"cooldown_seconds": 0, "retrain_budget": RetrainBudget(runs=2)}
    granted = []
    for number, decision in enumerate(decisions):
        ticket = ask(f"step {number}", decision, **budget)
        granted.append(ticket.granted)
        closing.close(MODEL, str(ticket.train_run_id))

    assert granted == [True, True, False, False]
    assert ask("by hand", **budget).granted, "a person's training is none of the budget's"
    last = [entry for entry in entries.history(MODEL) if entry.after == "refused"][-1]
    assert "2 retrains were granted in the last 30 days" in last.why
    assert retrain.replay(last) == last.why


def test_a_budget_of_no_runs_refuses_what_was_decided_before_it_was_set(home: Path) -> None:
    ticket = ask("one", drift(), retrain_budget=RetrainBudget(runs=0))
    assert (ticket.granted, "monitor.retrain_budget.runs is 0" in ticket.reason) == (False, True)


def test_a_step_that_is_refused_twice_leaves_one_entry(home: Path) -> None:
    decision = drift()
    for _ in range(3):
        ask("one", decision, retrain_budget=RetrainBudget(runs=0))
    assert answers() == ["refused"]


def test_a_training_of_which_nothing_was_heard_counts_what_it_may_have_taken(home: Path) -> None:
    ask("one", drift())
    age(closing.longest_seconds(SPEC) + 60)
    ask("two", drift(window_rows=501), cooldown_seconds=0)

    [expired] = [entry for entry in entries.history(MODEL) if entry.after == "expired"]
    assert expired.evidence["seconds"] == closing.longest_seconds(SPEC), "GPU seconds"


def test_a_clock_that_was_set_back_is_named(home: Path) -> None:
    ask("one", cooldown_seconds=0)
    closing.close(MODEL, str(retrain.open_requests()[0].train_run_id))
    age(-86_400)
    ticket = ask("two", cooldown_seconds=0)
    assert (ticket.granted, "the clock was set back" in ticket.reason) == (False, True)


def test_a_broken_ledger_grants_nothing_and_says_so(home: Path) -> None:
    decision = drift()
    ask("one", decision)
    tamper(ledger_entries.update().where(ledger_entries.c.sequence == 2).values(sequence=0))

    with pytest.raises(LedgerBroken, match="no such entry: its end was cut off"):
        ask("two", decision)


def test_two_models_do_not_wait_for_each_other(home: Path) -> None:
    other = request("flights").model_copy(update={"spec": SPEC.model_copy(update={"name": "flight_delay"})})

    assert ask("reviews").granted
    assert retrain.retrain(other).granted


def test_twenty_processes_that_ask_at_once_make_one_run(home: Path) -> None:
    """Forked, not spawned: a spawned process spends its
    first second on imports, and they would come one by one.
    """
    fork = multiprocessing.get_context("fork")
    gate, tickets = fork.Barrier(20), fork.Queue()

    decision = drift()

    def process(number: int) -> None:
        asked = request(f"step_{number}", decision, cooldown_seconds=0)
        gate.wait(timeout=60)
        tickets.put(retrain.retrain(asked))

    askers = [fork.Process(target=process, args=(number,)) for number in range(20)]
    for asker in askers:
        asker.start()
    answered = [tickets.get(timeout=60) for _ in askers]
    for asker in askers:
        asker.join(timeout=60)

    assert sum(ticket.granted for ticket in answered) == 1
    assert all("has not ended" in ticket.reason for ticket in answered if not ticket.granted)
    assert sorted(map(str, answers())) == ["granted", *["refused"] * 19]
    assert len(retrain.open_requests()) == 1
    assert entries.broken_entries() == []
    assert sum("memory" in entry.evidence for entry in entries.history(MODEL, ["retrain"])) == 1
