"""A candidate that fails a behavioural test is not promoted, and the case is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import BehaviourResult, FailedCase, PassedByChampion
from tasks.errors import InvalidRequest
from tasks.evaluation.shares import measure
from tasks.gate import gate
from tasks.gate.decide import decide
from tasks.gate.rules.behaviour import behaves
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, SHIPPED, archive, evaluation, request

RULES = GateSpec()
FAILED = FailedCase(instance='{"text": "he"}', changed='{"text": "she"}', why="The answer went from 0 to 1.")


def result(cases: int, passed: int, required: float = 1.0) -> BehaviourResult:
    return BehaviourResult(
        name="alike", kind="invariance", cases=cases, passed=passed, required_share=required, failed=(FAILED,)
    )


@given(cases=st.integers(0, 50), missed=st.integers(0, 50), required=st.floats(0, 1))
def test_only_the_required_share_of_cases_that_were_asked_passes(
    cases: int, missed: int, required: float
) -> None:
    passed = max(0, cases - missed)
    decision = decide(evaluation(behaviour=(result(cases, passed, required),)), RULES, archive(), LOOK)

    if cases == 0:
        assert decision.verdict == "hold"
    else:
        assert decision.verdict == ("promote" if passed / cases >= required else "reject")


def sampled(passed: int, champion: PassedByChampion | None = None) -> BehaviourResult:
    """Of 200 test rows, with Wilson's interval."""
    share = measure(np.arange(200) < passed)
    return result(200, passed, 0.95).model_copy(
        update={"low": share.low, "high": share.high, "champion": champion}
    )


def beside(passed: int, difference: float, high: float) -> PassedByChampion:
    return PassedByChampion(passed=passed, difference=difference, low=difference - 0.1, high=high)


@pytest.mark.parametrize(
    ("found", "verdict", "told"),
    [
        (sampled(190), "promote", "at least 95 % of them have to."),
        (sampled(187), "hold", "That may be chance: the 95 % interval of the share is 0.89"),
        (
            sampled(187, beside(187, 0.0, 0.01)),
            "promote",
            "the champion passed 187, so that the candidate is not",
        ),
        (sampled(187, beside(189, -0.01, 0.01)), "hold", "may be chance, too"),
        (sampled(187, beside(199, -0.06, -0.02)), "reject", "surely worse"),
        (sampled(170, beside(170, 0.0, 0.01)), "reject", "surely too few: the 95 % interval"),
    ],
)
def test_a_share_of_test_rows_is_judged_as_far_as_their_number_tells(
    found: BehaviourResult, verdict: str, told: str
) -> None:
    decision = decide(evaluation(behaviour=(found,)), RULES, archive(), LOOK)
    [rule] = [each for each in decision.rules if each.rule == "behaviour.alike"]
    assert decision.verdict == verdict
    assert told in rule.why


@given(passed=st.integers(0, 200), behind=st.integers(-200, 200))
def test_no_champion_excuses_what_is_surely_short(passed: int, behind: int) -> None:
    apart = behind / 200
    found = sampled(passed, beside(max(0, min(200, passed - behind)), apart, apart + 0.05))
    [rule] = behaves(evaluation(behaviour=(found,)))
    assert not rule.passed or (found.high or 0) >= 0.95
    if passed >= 190:
        assert rule.passed


def test_a_failing_case_is_named_in_the_refusal() -> None:
    decision = decide(evaluation(behaviour=(result(10, 9),)), RULES, archive(), LOOK)

    assert decision.why == (
        "Rejected by 1 of 10 rules: behaviour.alike: 9 of 10 cases of this invariance test passed; all "
        'of them have to. Among those that failed: {"text": "he"}, changed to {"text": "she"}: The answer '
        "went from 0 to 1."
    )


def test_an_evaluation_that_left_the_tests_out_is_not_judged(home: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"behaviour\.yaml has the tests \['plain_praise', .*Evaluate"):
        gate.gate(request(spec=SHIPPED))
