"""What is asked of each slice is asked of every candidate, and what cannot be told is no yes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import EvaluationReport, Metric, RuleVerdict, SliceScore
from tasks.gate.decide import decide
from tasks.gate.rules.slice_thresholds import slice_thresholds
from tasks.gate.rules.superiority import worse_on_no_slice
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, archive, evaluation, gained, score

NAN = float("nan")
RULES = GateSpec(slice_threshold=0.8, first_model_minimum={"accuracy": 0.8})
numbers = st.floats(allow_nan=True, allow_infinity=True)
shares = st.floats(0, 1)


def on(value: str, accuracy: float, width: float = 0.02, rows: int = 500, **metric: Any) -> SliceScore:
    fields = {"name": "accuracy", "value": accuracy, "low": accuracy - width, "high": accuracy + width}
    return SliceScore(column="source", value=value, rows=rows, metric=Metric(**(fields | metric)))


def first_model(*parts: SliceScore) -> EvaluationReport:
    return evaluation(champion=None, scored=score("candidate", 0.9, slices=parts))


def verdicts(*parts: SliceScore, rules: GateSpec = RULES) -> list[RuleVerdict]:
    return list(slice_thresholds(first_model(*parts), rules))


def test_a_first_model_that_fails_on_a_slice_is_rejected_by_that_slice() -> None:
    decision = decide(first_model(on("imdb", 0.93), on("traffic", 0.7)), RULES, archive(), None)

    assert decision.verdict == "reject"
    assert decision.why == (
        "Rejected by 1 of 9 rules: slice_threshold.source=traffic: On 500 rows with source=traffic, accuracy "
        "0.7000 [0.6800, 0.7200] is surely below 0.8."
    )


def test_a_slice_that_reaches_it_only_by_luck_or_seems_short_is_held() -> None:
    lucky, seems_short = verdicts(on("imdb", 0.81)), verdicts(on("imdb", 0.79))

    for (verdict,), said in ((lucky, "may only by luck"), (seems_short, "is perhaps below 0.8")):
        assert (verdict.passed, verdict.blocks) == (False, "hold")
        assert said in verdict.why


def test_small_slices_are_judged_only_where_they_are_named() -> None:
    small = on("traffic", 0.5, rows=20)
    named = RULES.model_copy(update={"slice_thresholds": {"source=traffic": 0.4, "source=mars": 0.4}})

    assert verdicts(small) == []
    too_few, absent = verdicts(small, rules=named)
    assert "source=traffic has 20 test rows, fewer than 200, so its threshold of 0.4 cannot" in too_few.why
    assert "No test row is in the slice source=mars" in absent.why
    assert {(verdict.passed, verdict.blocks) for verdict in (too_few, absent)} == {(False, "hold")}


def test_a_named_slice_has_the_threshold_of_its_own() -> None:
    rules = RULES.model_copy(update={"slice_thresholds": {"source=traffic": 0.6}})
    assert [found.threshold for found in verdicts(on("imdb", 0.9), on("traffic", 0.7), rules=rules)] == [
        0.8,
        0.6,
    ]


@given(value=numbers, low=numbers, high=numbers, threshold=shares)
def test_no_slice_passes_without_a_limit_that_reaches_the_threshold(
    value: float, low: float, high: float, threshold: float
) -> None:
    rules = RULES.model_copy(update={"slice_threshold": threshold})
    (verdict,) = verdicts(on("imdb", value, low=low, high=high), rules=rules)
    if verdict.passed:
        assert value >= threshold
        assert low >= threshold
    if verdict.blocks == "reject":
        assert value < threshold


@given(accuracy=shares, better=shares, width=st.floats(0, 0.2))
def test_a_better_slice_is_never_judged_worse(accuracy: float, better: float, width: float) -> None:
    order = {(False, "reject"): 0, (False, "hold"): 1, (True, "hold"): 2}
    lesser, greater = (
        order[found.passed, found.blocks]
        for each in sorted([accuracy, better])
        for found in verdicts(on("imdb", each, width))
    )
    assert lesser <= greater


@given(others=st.integers(0, 30))
def test_the_more_slices_there_are_the_surer_one_has_to_be_that_it_is_short(others: int) -> None:
    """0.7 is 1.96 standard errors short: alone or with one other it is sure, among many it may be chance."""
    found = verdicts(on("short", 0.7, 0.1), *(on(f"s{each}", 0.95) for each in range(others)))
    assert (found[0].blocks == "reject") == (others <= 1)


def test_less_is_asked_for_where_less_is_better() -> None:
    rules = GateSpec(primary_metric="rmse", margin=1, slice_margin=1, slice_threshold=10)
    good, bad = (on(name, value, 0.5, name="rmse") for name, value in (("good", 8), ("bad", 12)))

    found = verdicts(good, bad, rules=rules)

    assert [(verdict.passed, verdict.blocks) for verdict in found] == [(True, "hold"), (False, "reject")]
    assert "is surely above 10." in found[1].why


def test_values_of_the_same_name_in_two_columns_are_two_slices() -> None:
    parts = [on("1", 0.9), on("1", 0.9).model_copy(update={"column": "month"})]
    differences = [
        gained(gain, slice_value="1", rows=500).model_copy(update={"slice_column": column})
        for column, gain in (("source", 0.02), ("month", -0.08))
    ]
    report = evaluation(
        scored=score("candidate", 0.9, slices=tuple(parts)), differences=(gained(0.01), *differences)
    )

    found = {verdict.rule: verdict.passed for verdict in worse_on_no_slice(report, RULES)}

    assert found == {"slice_margin.source=1": True, "slice_margin.month=1": False}
    assert decide(report, RULES, archive(), LOOK).verdict == "reject"
