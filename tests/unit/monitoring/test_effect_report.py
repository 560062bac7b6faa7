"""Whether a retrain helped is written down once its probation is over, and counts against the breaker."""

from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, EvaluationReport, LedgerEntry
from tasks.ledger import entries
from tasks.monitoring.effect import decide_effect, replay
from tasks.monitoring.effect_report import report_effects
from tasks.monitoring.target.summary import summaries
from tasks.stores.lake import Lake
from tests.unit import judged
from tests.unit.monitoring.target.answered import DAY, START, Answered
from tests.unit.monitoring.test_memory import EAGER, FIRST, MODEL, check, end, grant, remembered

SPEC = judged.SPEC.model_copy(update={"monitor": EAGER})
AFTER = "a" * 32


def promoted(gain: float = 0.05, width: float = 0.01) -> str:
    """A retrain whose candidate gains so much on the drifted rows, and is promoted while it is at work."""
    train_run_id = str(grant(check(1, "alarm")))
    [granted] = [each for each in entries.history(MODEL, [Action.RETRAIN]) if each.after == "granted"]
    newest = judged.set_score(0.8, gain, width=width)
    report = judged.evaluation(sets=judged.sets(newest, anchor=judged.anchor(judged.AS_GOOD)))
    evidence = {
        "evaluation": report,
        "decision": {"run_id": AFTER, "rules": []},
        "circumstances": {"drift": granted.entry_hash},
    }
    entries.record(
        model=MODEL, actor="gate", action=Action.GATE, before=FIRST, after="promote", why="w",
        evidence=evidence,
    )  # fmt: skip
    return train_run_id


def switched(run_id: str, before: str = FIRST, action: Action = Action.DEPLOY, **more: Any) -> LedgerEntry:
    """What serves is switched to this run."""
    evidence = {"route": {"run_id": run_id}, "before": {"run_id": before}, **more}
    return entries.record(
        model=MODEL, actor="deploy", action=action, before="1", after="2", why="w", evidence=evidence
    )


def served(gain: float = 0.05, width: float = 0.01) -> None:
    """The same, which then serves."""
    train_run_id = promoted(gain, width)
    switched(AFTER)
    end(train_run_id)


def reported(champion: str = AFTER) -> list[LedgerEntry]:
    return report_effects(SPEC, champion, "tests")


def test_a_retrain_that_gains_on_the_drifted_rows_has_helped_and_that_is_written_once(home: Path) -> None:
    served()
    assert reported() == []
    check(2, "none", AFTER)
    check(3, "too_few", AFTER)
    assert reported() == []
    check(4, "none", AFTER)

    [entry] = reported()

    assert entry.after == "helped"
    assert "the drifted rows (2000): 0.8 before, 0.85 after (+0.05 [+0.04, +0.06])" in entry.why
    assert "the reference (1000)" in entry.why
    assert "the anchor" in entry.why
    assert reported() == []
    assert replay(entry) == (entry.after, entry.why)
    assert remembered(AFTER).failures_in_a_row == 0


def test_a_retrain_after_which_the_alarm_is_back_did_not_help_and_counts_against_the_breaker(
    home: Path,
) -> None:
    served()
    check(2, "none", AFTER)
    check(3, "alarm", AFTER)

    [entry] = reported()

    assert entry.after == "did_not_help"
    assert "1 of the 2 checks since raised an alarm again" in entry.why
    assert remembered(AFTER).failures_in_a_row == 1


@pytest.mark.parametrize(
    ("gain", "width", "verdict"),
    [(0.05, 0.01, "helped"), (-0.05, 0.01, "did_not_help"), (0.0, 0.05, "cannot_tell")],
)
def test_the_drifted_rows_decide_where_no_check_raised_an_alarm(
    home: Path, gain: float, width: float, verdict: str
) -> None:
    served(gain, width)
    check(2, "none", AFTER)
    check(3, "none", AFTER)
    assert [entry.after for entry in reported()] == [verdict]


def test_a_retrain_that_was_replaced_during_its_probation_is_reported_at_once(home: Path) -> None:
    served()
    switched(FIRST, AFTER, Action.ROLLBACK)
    assert [entry.after for entry in reported(champion=FIRST)] == ["helped"]


def test_a_retrain_that_is_still_at_work_is_not_reported_before_its_candidate_serves(home: Path) -> None:
    train_run_id = promoted()
    assert reported(champion=FIRST) == [], "between the gate and the switch"
    switched(AFTER)
    end(train_run_id)
    check(2, "none", AFTER)
    check(3, "alarm", AFTER)

    assert [entry.after for entry in reported()] == ["did_not_help"]
    assert remembered(AFTER).failures_in_a_row == 1


@pytest.mark.parametrize("undone", ["nothing was switched", "by the deployment", "by the reconciliation"])
def test_a_promoted_candidate_that_never_served_is_told_so_once_and_again_when_it_has_served(
    home: Path, undone: str
) -> None:
    train_run_id = promoted()
    if undone != "nothing was switched":
        switch = switched(AFTER)
    if undone == "by the deployment":
        switched(FIRST, AFTER, Action.ROLLBACK, undoes=True)
    if undone == "by the reconciliation":
        switched(FIRST, AFTER, Action.RECONCILE, undoes=switch.entry_hash)
    end(train_run_id)

    [entry] = reported(champion=FIRST)

    assert (entry.after, "promoted and never served" in entry.why) == ("did_not_help", True)
    assert replay(entry) == (entry.after, entry.why)
    assert remembered(FIRST).failures_in_a_row == 1
    assert report_effects(SPEC, FIRST, "another check") == []
    switched(AFTER, after_undo=1)
    check(2, "none", AFTER)
    assert reported() == []
    check(3, "none", AFTER)
    assert [entry.after for entry in reported()] == ["helped"]
    assert report_effects(SPEC, AFTER, "another check") == []
    assert remembered(AFTER).failures_in_a_row == 0


def test_a_loss_that_falls_is_a_gain(home: Path) -> None:
    served(-0.05)
    check(2, "none", AFTER)
    check(3, "none", AFTER)
    [entry] = reported()
    from tasks.monitoring.effect import Evidence

    found: dict[str, Any] = entry.evidence["found"] | {"metric": "log_loss"}
    assert decide_effect(Evidence(**found))[0] == "helped"


def test_an_evaluation_of_an_earlier_perennial_without_sets_cannot_tell() -> None:
    from tasks.monitoring.effect import evidence_of

    report: EvaluationReport = judged.evaluation(sets=None)
    entry = LedgerEntry.model_construct(evidence={"evaluation": report.model_dump(mode="json")})
    verdict, why = decide_effect(evidence_of(entry, ()))
    assert (verdict, "the drifted rows: not known" in why) == ("cannot_tell", True)


def answer(log: Answered, run_id: str, day: int, right: int, labelled: int) -> None:
    """A window of 200 predictions of a version, of which some are labelled and some of these right."""
    ids = log.predict([1] * 200, day=day, run_id=run_id)
    log.label(ids[:labelled], [1] * right + [0] * (labelled - right), hour=24 * day)
    summaries(Lake(), SPEC, run_id, (START + day * DAY, START + (day + 1) * DAY))


def test_what_labels_say_since_the_promotion_is_told_beside_what_they_said_before(home: Path) -> None:
    log = Answered(SPEC)
    for day, right in enumerate((10, 140, 140)):
        answer(log, FIRST, day, right, 200)
    served()
    for day in (3, 4):
        answer(log, AFTER, day, 180, 200)
        check(day, "none", AFTER)
    [entry] = reported()
    assert entry.after == "helped"
    assert (
        "In service, accuracy is 0.9 [0.8705, 0.9295] on 400 labelled predictions of 2 windows since"
        in entry.why
    )
    assert "the last of the champion before is 0.7 [0.6551, 0.7449] on 400 labelled" in entry.why
    assert entry.evidence["found"]["in_service"]["after"]["rows"] == 400
    assert replay(entry) == (entry.after, entry.why)
    older = entry.model_copy(update={"evidence": {"found": dict(entry.evidence["found"])}})
    del older.evidence["found"]["in_service"]
    assert "In service" not in replay(older)[1], "a record of before is told as it was"


def test_where_no_label_has_come_that_is_said_and_the_verdict_is_the_same(home: Path) -> None:
    log = Answered(SPEC)
    served()
    for day in (3, 4):
        answer(log, AFTER, day, 0, 0)
        check(day, "none", AFTER)
    [entry] = reported()
    assert entry.after == "helped"
    assert entry.evidence["found"]["in_service"]["after"] is None
    assert "accuracy is not known (too few labels) since the promotion" in entry.why
