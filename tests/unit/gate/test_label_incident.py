"""Where the champion falls on new labels, nothing is promoted until a person says what they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import (
    Action,
    Circumstances,
    CountRequest,
    EvaluationReport,
    GateDecision,
    LabelIncidentAnswer,
    LabelIncidentRequest,
    Metric,
    RetrainRequest,
    RowCount,
    SnapshotPart,
    StepContext,
    TrainingRun,
)
from tasks.data.count import count
from tasks.errors import InvalidRequest, NothingToDo
from tasks.gate import gate
from tasks.gate.decide import replay
from tasks.gate.label_incident import label_incident, suspects
from tasks.gate.rules.label_incident import label_incident as rule
from tasks.gate.standing import standing
from tasks.ledger import entries
from tasks.ledger.incidents import open_incident
from tasks.monitoring.retrain import retrain
from tasks.stores import registry
from tasks.stores.database import engine
from tasks.stores.lake import Lake
from tests.unit import judged
from tests.unit.judged import SPEC, anchor, archive, evaluation, request, run, score, set_score, sets
from tests.unit.reviews import as_table, reviews

BY_CLOCK, DRIFT = Circumstances(), Circumstances(drifted="d" * 64)
START = datetime(2026, 1, 1, tzinfo=UTC)
ANCHOR = anchor(set_score(0.87))


def is_incident(champion: float, circumstances: Circumstances, rows: int = 800, **changes: Any) -> bool:
    """Whether a champion that has 0.87 on the anchor and so much on the new rows is one."""
    fallen = set_score(champion, rows=rows, width=0.03)
    report = evaluation(sets=sets(fallen, **({"anchor": ANCHOR} | changes)))
    return not rule(report, SPEC.gate, circumstances).passed


def test_a_fall_is_an_incident_and_after_a_drift_of_the_inputs_only_a_fall_to_nearly_nothing() -> None:
    """Inverted, shuffled, noisy labels, those of another kind of texts, and as before."""
    falls = {"inverted": 0.13, "shuffled": 0.5, "noisy": 0.73, "other texts": 0.72, "as before": 0.86}

    by_clock = [name for name, value in falls.items() if is_incident(value, BY_CLOCK)]
    after_drift = [name for name, value in falls.items() if is_incident(value, DRIFT)]

    assert by_clock == ["inverted", "shuffled", "noisy", "other texts"]
    assert after_drift == ["inverted", "shuffled"]


def test_few_rows_tell_nothing_and_without_an_anchor_only_the_opposite_is_told() -> None:
    assert not is_incident(0.1, BY_CLOCK, rows=199)
    for few in (anchor(), anchor(set_score(0.87, rows=999))):
        assert is_incident(0.1, BY_CLOCK, anchor=few)
        assert not is_incident(0.5, BY_CLOCK, anchor=few)


def test_a_metric_that_the_new_rows_do_not_define_holds() -> None:
    for undefined in ({"champion": None}, {"at_random": None}):
        newest = set_score(0.8).model_copy(update=undefined)
        assert not rule(evaluation(sets=sets(newest, anchor=ANCHOR)), SPEC.gate, DRIFT).passed


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_metric_that_is_no_number_holds(value: float) -> None:
    sound, none = set_score(0.87), Metric(name="accuracy", value=value, low=value, high=value)
    unsound, undealt = (
        sound.model_copy(update=changes) for changes in ({"champion": none}, {"at_random": value})
    )
    for suspect, old, circumstances in (
        (unsound, sound, BY_CLOCK),
        (unsound, sound, DRIFT),
        (undealt, sound, DRIFT),
        (sound, unsound, BY_CLOCK),
    ):
        report = evaluation(sets=sets(suspect, anchor=anchor(old)))
        assert not rule(report, SPEC.gate, circumstances).passed


@given(old=st.floats(0.5, 1), new=st.floats(0, 1), margin=st.floats(0, 0.2))
def test_a_champion_that_does_not_fall_by_more_than_the_margin_is_no_incident(
    old: float, new: float, margin: float
) -> None:
    report = evaluation(sets=sets(set_score(new), anchor=anchor(set_score(old))))
    rules = SPEC.gate.model_copy(update={"anchor_margin": margin})
    if new >= old - margin:
        assert rule(report, rules, BY_CLOCK).passed


# --- in the ledger ------------------------------------------------------------------------------------------


def first_model(**changes: Any) -> GateDecision:
    champion = evaluation(champion=None, sets=sets(anchor=anchor(), suspect=None, unconfirmed_rows=0))
    return gate.judge(request(evaluation=champion, **changes), START)


def candidate(number: int, falls_to: float, run_id: str = "manual", **changes: Any) -> Any:
    """A request to judge a candidate that is better than the first model, in an Airflow run; the first model
    has so much on the new rows."""
    own = {"run_id": f"{number:032}", "archive_sha256": f"{number:064}"}
    champion = score("champion", 0.9, run_id=judged.RUN, archive_sha256="1" * 64)
    report = evaluation(
        scored=score("candidate", 0.91, **own),
        sets=sets(**({"newest": set_score(falls_to), "suspect": set_score(falls_to)} | changes)),
    )
    context = StepContext(actor="gate", step_key=f"train/{run_id}/gate/-1", work_url="unused")
    return request(
        context=context,
        run=run(run_id=own["run_id"]),
        archive=archive(run_id=own["run_id"], sha256=own["archive_sha256"]),
        evaluation=report.model_copy(update={"champion": champion}),
    )


def judge(asked: Any) -> GateDecision:
    return gate.judge(asked, START + timedelta(days=30))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> SnapshotPart:
    """The test part of whatever run the registry is asked for."""
    part = SnapshotPart(url="incident.parquet", rows=400, sha256="8" * 64)
    snapshot = judged.snapshot().model_copy(update={"test": part})

    def found(run_id: str) -> TrainingRun:
        return run(run_id=run_id, snapshot=snapshot)

    monkeypatch.setattr(registry, "training_run", found)
    return part


def answer(said: str, step: str = "1") -> LabelIncidentAnswer:
    context = StepContext(actor="anna", step_key=f"label_incident_model/{step}/x/-1", work_url="unused")
    asked = LabelIncidentRequest(context=context, model=SPEC.name, reason="I looked.", answer=said)  # type: ignore[arg-type]
    return label_incident(asked)


def counted(**asked: Any) -> RowCount:
    """What the first step of a training says before anything is spent."""
    spec = SPEC.model_copy(update={"data": SPEC.data.model_copy(update={"minimum_rows": 10})})
    return count(CountRequest(context=request().context, spec=spec, **asked))


def rules(decision: GateDecision) -> list[str]:
    return [each.rule for each in decision.rules]


def failed(decision: GateDecision) -> list[str]:
    return [each.rule for each in decision.rules if not each.passed]


def test_an_incident_holds_every_candidate_until_it_is_answered(home: Path, trained: SnapshotPart) -> None:
    Lake().append("reviews", as_table(reviews(30)), batch_id="day.csv")
    assert first_model().verdict == "promote"
    assert failed(judge(candidate(1, 0.1))) == ["label_incident"]
    again, diluted = judge(candidate(1, 0.1)), judge(candidate(2, 0.9))
    refused = retrain(RetrainRequest(context=request().context, spec=SPEC))

    assert again == gate.judge(candidate(1, 0.1), START + timedelta(days=31)), "the same evidence, once"
    assert failed(diluted) == ["label_incident"]
    assert "of the ledger's entry 2 is not answered" in diluted.why
    with pytest.raises(NothingToDo, match="entry 2 is not answered"):
        counted(by_itself=True)
    assert counted().rows == 30, "who asks for a training gets it, and it is held"
    assert (refused.granted, "entry 2 is not answered" in refused.reason) == (False, True)
    incident, suspected = suspects(SPEC.name)
    assert (incident.sequence, [batch.rows for batch in suspected]) == (2, [30])
    said = answer("poison")
    assert suspected == said.batches
    assert (said.incident, answer("poison") == said) == (2, True)
    assert counted(by_itself=True).rows == 30
    assert "land the rows once more" in said.next_step
    assert [(batch.batch_id, batch.rows) for batch in said.batches] == [("day.csv", 30)]
    assert all(batch.joined_at for batch in said.batches)
    assert judge(candidate(3, 0.1)).verdict == "hold", "the batch is still there"
    answer("poison", step="2")
    assert judge(candidate(4, 0.9)).verdict == "promote"
    assert [entry.after for entry in entries.history() if entry.action == Action.LABEL_INCIDENT] == [
        "poison",
        "poison",
    ]
    assert all(replay(entry).verdict == entry.after for entry in entries.history() if entry.action == "gate")


def test_an_incident_is_told_first_whatever_else_is_wrong(home: Path, trained: SnapshotPart) -> None:
    """A person has to act on it; a rule that rejects would hide one that holds."""
    first_model()
    slow = candidate(1, 0.1)
    scored = slow.evaluation.candidate.model_copy(update={"latency_p95_seconds": 60.0})
    told = judge(
        slow.model_copy(update={"evaluation": slow.evaluation.model_copy(update={"candidate": scored})})
    )
    assert told.verdict == "reject"
    assert told.why.startswith("A label incident is open: The champion has accuracy 0.1000")
    assert "Rejected by 1 of" in told.why


def test_neither_what_serves_nor_a_drift_that_was_found_since_answers_an_incident(home: Path) -> None:
    first_model()
    assert failed(judge(candidate(1, 0.75))) == ["label_incident"]

    itself = judge(request(evaluation=evaluation(champion=0.9, sets=sets()).model_copy(
        update={"champion": score("champion", 0.91, run_id=judged.RUN, archive_sha256="1" * 64)}
    )))  # fmt: skip
    entries.record(
        model=SPEC.name,
        actor="drift",
        action=Action.DRIFT,
        before=judged.RUN,
        after="wait",
        why="So.",
        evidence={},
    )
    again = judge(candidate(1, 0.75))

    assert (failed(itself), failed(again)) == (["label_incident"], ["label_incident"])
    with engine().connect() as connection:
        assert open_incident(connection, SPEC.name) is not None


@pytest.mark.parametrize(("question", "verdict"), [("input", "promote"), ("target", "hold")])
def test_labels_that_alarm_do_not_excuse_themselves_as_a_drift_of_the_inputs(
    home: Path, trained: SnapshotPart, question: str, verdict: str
) -> None:
    first_model()
    signal = {"question": question, "level": "alarm"}
    entries.record(
        model=SPEC.name,
        actor="drift",
        action=Action.DRIFT,
        before=judged.RUN,
        after="ask",
        why="So.",
        evidence={"decision": {"signals": [signal]}},
    )
    newest = set_score(0.75, 0.05)
    assert judge(candidate(1, 0.75, newest=newest)).verdict == verdict


def test_the_world_lets_the_next_training_through_and_the_anchor_begins_anew(
    home: Path, trained: SnapshotPart
) -> None:
    first_model()
    held = judge(candidate(1, 0.1))
    answer("the_world")

    with pytest.raises(InvalidRequest, match="for right, but by the ledger these are None and 8888"):
        judge(candidate(2, 0.1))
    anew = {"anchor": anchor(), "suspect": set_score(0.1, rows=0), "world_sha256": trained.sha256}
    again = judge(candidate(1, 0.1, **anew))

    with engine().connect() as connection:
        known = standing(connection, SPEC.name, judged.RUN)
    assert (known.world, known.root_run_id) == (trained, judged.RUN)
    assert (again.verdict, again.root_run_id) == ("promote", again.run_id)
    assert held.look is not None
    assert again.look is not None
    assert again.look != held.look, "on other rows it is another comparison"
    with engine().connect() as connection:
        assert standing(connection, SPEC.name, again.run_id).world is None


def test_there_is_nothing_to_answer_without_an_incident(home: Path, trained: SnapshotPart) -> None:
    with pytest.raises(InvalidRequest, match="No label incident of 'review_sentiment' is open"):
        answer("the_world")


def test_a_drift_of_the_inputs_that_the_ledger_knows_of_explains_a_fall(
    home: Path, trained: SnapshotPart
) -> None:
    first_model()

    def found(verdict: str, run_id: str) -> None:
        said: dict[str, Any] = {
            "before": run_id,
            "after": verdict,
            "why": "So.",
            "evidence": {verdict: run_id},
        }
        entries.record(model=SPEC.name, actor="drift", action=Action.DRIFT, **said)

    def granted(run_id: str, decided: str | None) -> None:
        evidence = {"train_run_id": run_id, "drift_decision": decided}
        said: dict[str, Any] = {"before": None, "after": "granted", "why": "So.", "evidence": evidence}
        entries.record(model=SPEC.name, actor="drift", action=Action.RETRAIN, **said)

    found("quiet", judged.RUN)
    found("retrain", "of another champion")
    assert failed(judge(candidate(1, 0.75))) == ["label_incident"]
    answer("poison")
    found("wait", judged.RUN)
    granted("retrain__1", "d" * 64)
    granted("retrain__2", None)

    assert failed(judge(candidate(2, 0.3))) == ["label_incident"], (
        "so deep no drift of the inputs explains it"
    )
    answer("poison", step="2")
    by_hand = judge(candidate(3, 0.75, "retrain__2", newest=set_score(0.75, 0.05)))
    by_drift = judge(candidate(4, 0.75, "retrain__1", newest=set_score(0.75, 0.05)))
    assert (by_hand.verdict, by_drift.verdict) == ("promote", "promote")
    policies = [
        {"newest_rows.accuracy", "superiority.accuracy"} & set(rules(each)) for each in (by_hand, by_drift)
    ]
    assert policies == [{"superiority.accuracy"}, {"newest_rows.accuracy"}]
    assert replay(entries.history()[-1]) == by_drift.model_copy(update={"ledger_hash": None})


def test_an_evaluation_on_another_anchor_than_the_ledgers_is_refused(home: Path) -> None:
    first_model()
    other = anchor(set_score(0.9), base_sha256="7" * 64)
    with pytest.raises(InvalidRequest, match=r"extends the anchor 7777.*by the ledger these are eeee"):
        judge(candidate(1, 0.9, anchor=other))


def test_what_an_earlier_perennial_measured_is_judged_as_it_was() -> None:
    """Its evaluations have no sets, so no rule about them is told."""
    report: EvaluationReport = evaluation(sets=None)
    rules = [each.rule for each in gate.decide(report, SPEC.gate, archive(), judged.LOOK).rules]
    assert not {"label_incident", "anchor.accuracy"} & set(rules)
