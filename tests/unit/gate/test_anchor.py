"""What the anchor lets through, and what a candidate of a training that drift asked for has to show."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.contracts import Circumstances, EvaluationReport, GateDecision, SetScore
from tasks.gate import decide as deciding
from tasks.spec import GateSpec, Policy
from tests.unit.judged import (
    CHAMPION,
    LOOK,
    RUN,
    anchor,
    archive,
    evaluation,
    gained,
    score,
    set_score,
    sets,
)

RULES = GateSpec(minimum={"accuracy": 0.8})
BY_CLOCK, DRIFT = Circumstances(), Circumstances(drift="d" * 64, drifted="d" * 64)
ROOT = score("root", 0.9, run_id="b" * 32, archive_sha256="3" * 64, name="version 1")
NEWEST = set_score(0.75, 0.05, rows=1200)


def decide(
    report: EvaluationReport, circumstances: Circumstances = DRIFT, rules: GateSpec = RULES
) -> GateDecision:
    return deciding.decide(report, rules, archive(), LOOK, circumstances)


def by(policy: Policy) -> GateSpec:
    return RULES.model_copy(update={"policy": policy})


def failed(decision: GateDecision) -> list[str]:
    return [rule.rule for rule in decision.rules if not rule.passed]


def told(decision: GateDecision, rule: str) -> str:
    return next(each.why for each in decision.rules if each.rule.startswith(rule))


def drifted(newest: SetScore = NEWEST, on_anchor: float = -0.005, **changes: Any) -> EvaluationReport:
    """As good on the test rows, better on the newest ones, and so much better on the anchor."""
    parts = sets(newest, anchor=anchor(set_score(0.9, on_anchor)))
    return evaluation(candidate=0.9, **({"sets": parts} | changes))


def with_root(to_root: float, on_anchor: float = 0.0) -> EvaluationReport:
    scored = set_score(0.9, on_anchor, to_root=to_root)
    return drifted(sets=sets(NEWEST, anchor=anchor(scored)), root=ROOT, root_difference=gained(0.0))


def test_after_drift_one_that_is_better_on_the_newest_rows_and_loses_little_is_promoted() -> None:
    decision = decide(drifted())

    assert (decision.verdict, failed(decision)) == ("promote", [])
    assert decision.root_run_id == CHAMPION, "it is not shown to be better where the root is judged"
    assert decision.anchor == anchor().part
    assert "is better than the champion on the newest rows: +0.0500" in told(decision, "newest_rows")
    assert "not worse than the champion on the anchor by 0.03 or more: -0.0050 [" in told(decision, "anchor")
    assert decide(drifted(newest=set_score(0.75, 0.004, rows=1200))).anchor is None


def test_who_asked_for_the_training_chooses_the_policy_unless_pipeline_yaml_does() -> None:
    by_clock = decide(drifted(), BY_CLOCK, RULES.model_copy(update={"margin": 0.2}))

    assert (by_clock.verdict, failed(by_clock)) == ("hold", ["superiority.accuracy"])
    assert failed(decide(drifted(), DRIFT, by("superiority"))) == ["superiority.accuracy"]
    assert "newest_rows.accuracy" not in failed(decide(drifted(), BY_CLOCK, by("after_drift")))


@pytest.mark.parametrize(
    ("report", "verdict", "rule"),
    [
        (drifted(set_score(0.75, 0.004, rows=1200)), "hold", "newest_rows.accuracy"),
        (drifted(set_score(0.75, -0.02, rows=1200)), "reject", "newest_rows.accuracy"),
        (drifted(set_score(0.75, 0.2, rows=150)), "hold", "newest_rows.accuracy"),
        (drifted(on_anchor=-0.04), "reject", "anchor.accuracy"),
        (drifted(on_anchor=-0.025), "hold", "anchor.accuracy"),
        (with_root(to_root=-0.04), "reject", "anchor.accuracy"),
    ],
)
def test_after_drift_neither_the_newest_rows_nor_the_anchor_are_enough_alone(
    report: EvaluationReport, verdict: str, rule: str
) -> None:
    decision = decide(report)
    assert (decision.verdict, failed(decision)) == (verdict, [rule])


def test_releases_after_drift_do_not_add_up_on_the_anchor() -> None:
    """Each loses little against what served; the root has not moved, and is what counts."""
    assert decide(with_root(to_root=-0.015, on_anchor=-0.008)).root_run_id == ROOT.run_id
    assert failed(decide(with_root(to_root=-0.035, on_anchor=-0.008))) == ["anchor.accuracy"]


@pytest.mark.parametrize(
    ("few", "said"),
    [
        (anchor(set_score(0.9, -0.5, rows=999)), "The anchor has 999 rows, fewer than 1,000."),
        (anchor(unusable="The anchor lacks 'stars'."), "The anchor lacks 'stars'."),
        (anchor(), "The anchor begins with this candidate."),
    ],
)
def test_where_the_anchor_cannot_decide_that_is_said_and_the_test_rows_stand_in(few: Any, said: str) -> None:
    better = evaluation(sets=sets(anchor=few))
    worse = drifted(sets=sets(NEWEST, anchor=few), differences=(gained(-0.04, 0.05),))

    assert decide(better, BY_CLOCK).verdict == "promote"
    assert told(decide(better, BY_CLOCK), "anchor") == f"{said} It decides nothing."
    assert failed(decide(worse)) == ["anchor.accuracy"]
    assert told(decide(worse), "anchor").endswith(f"{said} The test rows stand in for it.")
    assert decide(drifted(sets=sets(NEWEST, anchor=few), differences=(gained(0.0, 0.01),))).verdict == (
        "promote"
    )


@pytest.mark.parametrize("policy", ["superiority", "non_inferiority"])
def test_one_that_wins_on_the_test_rows_and_is_surely_worse_on_the_anchor_is_rejected(
    policy: Policy,
) -> None:
    decision = decide(evaluation(sets=sets(anchor=anchor(set_score(0.9, -0.02)))), BY_CLOCK, by(policy))

    assert (decision.verdict, failed(decision)) == ("reject", ["anchor.accuracy"])
    assert "is worse than the champion on the anchor: -0.0200 [-0.0300, -0.0100]" in decision.why


def test_a_difference_that_is_not_defined_on_the_anchor_holds() -> None:
    undefined = set_score(0.9).model_copy(update={"to_champion": None})
    for circumstances in (BY_CLOCK, DRIFT):
        decision = decide(evaluation(sets=sets(NEWEST, anchor=anchor(undefined))), circumstances)
        assert (decision.verdict, "anchor.accuracy" in failed(decision)) == ("hold", True)


@given(
    newest=st.floats(-0.2, 0.2),
    on_anchor=st.floats(-0.2, 0.2),
    to_root=st.floats(-0.2, 0.2),
    margin=st.floats(0.001, 0.3),
)
def test_after_drift_nothing_is_promoted_that_is_not_better_where_it_is_new_or_is_worse_on_the_anchor(
    newest: float, on_anchor: float, to_root: float, margin: float
) -> None:
    scored = set_score(0.9, on_anchor, to_root=to_root)
    report = drifted(
        sets=sets(set_score(0.75, newest, rows=1200), anchor=anchor(scored)),
        root=ROOT,
        root_difference=gained(0.0),
    )
    decision = decide(report, DRIFT, RULES.model_copy(update={"anchor_margin": margin}))
    if decision.verdict == "promote":
        assert newest > 0.01
        assert to_root > -margin + 0.01


def test_rows_that_nothing_has_confirmed_are_told_of_and_count_for_nothing() -> None:
    decision = decide(evaluation(rows=150, sets=sets(NEWEST)), BY_CLOCK)
    assert "minimum_test_rows" in failed(decision)
    assert "1200 more do not count, because nothing has confirmed them" in told(decision, "minimum_test_rows")


def test_where_nothing_is_confirmed_the_candidate_is_held_and_not_said_to_be_bad() -> None:
    nothing = score("candidate", 0.9, metrics=())
    decision = decide(evaluation(rows=0, scored=nothing, differences=(), sets=sets(NEWEST)), BY_CLOCK)
    assert decision.verdict == "hold"
    assert "1200 more do not count" in decision.why


def test_after_a_person_called_the_labels_right_the_root_begins_with_the_next_one() -> None:
    anew = sets(NEWEST, suspect=None, anchor=anchor(), world_sha256="9" * 64)
    report = drifted(sets=anew, differences=(gained(0.0, 0.01),), root=ROOT, root_difference=gained(0.0))
    assert decide(report).root_run_id == RUN


def test_a_policy_that_lets_nothing_be_lost_on_the_anchor_cannot_be_written() -> None:
    with pytest.raises(ValidationError, match="after_drift asks how much worse is still good enough"):
        GateSpec(policy="after_drift", margin=0)
    assert GateSpec(policy="after_drift", margin=0, anchor_margin=0.01).most_lost_on_anchor == 0.01
