"""A candidate that fails a behavioural test is not promoted, and the case is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import BehaviourResult, FailedCase
from tasks.errors import InvalidRequest
from tasks.gate import gate
from tasks.gate.decide import decide
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


def test_a_failing_case_is_named_in_the_refusal() -> None:
    decision = decide(evaluation(behaviour=(result(10, 9),)), RULES, archive(), LOOK)

    assert decision.why == (
        "Rejected by 1 of 10 rules: behaviour.alike: 9 of 10 cases of this invariance test passed; at least "
        '1 of them have to. Among those that failed: {"text": "he"}, changed to {"text": "she"}: The answer '
        "went from 0 to 1."
    )


def test_an_evaluation_that_left_the_tests_out_is_not_judged(home: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"behaviour\.yaml has the tests \['plain_praise', .*Evaluate"):
        gate.gate(request(spec=SHIPPED))
