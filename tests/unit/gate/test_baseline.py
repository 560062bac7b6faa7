"""A candidate has to beat a linear model by the paired difference, and what is not known is no gain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import PairedDifference
from tasks.gate.rules.baseline import gain_over_baseline
from tasks.spec import GateSpec
from tests.unit.judged import evaluation, gained

LINEAR = GateSpec(baseline="linear", minimum_gain_over_baseline=0.01)
numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(gain=st.floats(-1, 1), width=st.floats(0, 0.5))
def test_it_passes_by_the_lower_limit_of_the_paired_difference(gain: float, width: float) -> None:
    found = gained(gain, width)
    verdict = gain_over_baseline(evaluation(baseline_difference=found), LINEAR)

    assert verdict.passed == (found.low >= 0.01)
    assert (verdict.blocks == "hold") == (gain >= 0.01)


@given(value=numbers, low=numbers, high=numbers)
def test_a_difference_that_is_no_number_never_passes(value: float, low: float, high: float) -> None:
    found = gained(0.1).model_copy(update={"difference": value, "low": low, "high": high})
    verdict = gain_over_baseline(evaluation(baseline_difference=found), LINEAR)
    if verdict.passed:
        assert min(low, high) >= 0.01


@pytest.mark.parametrize("unknown", [None, gained(float("nan"))])
def test_a_difference_that_is_not_known_rejects(unknown: PairedDifference | None) -> None:
    verdict = gain_over_baseline(evaluation(baseline_difference=unknown), LINEAR)
    assert (verdict.passed, verdict.blocks) == (False, "reject")
    assert "The difference is not defined on these rows, so no gain over baseline can" in verdict.why


def test_against_a_constant_the_candidates_own_interval_counts() -> None:
    constant = GateSpec(minimum_gain_over_baseline=0.05)
    assert gain_over_baseline(evaluation(), constant).passed
    assert gain_over_baseline(evaluation(baseline_difference=gained(-1)), constant).passed
