"""Groups that are treated too differently stop a candidate, and a gap that is not known is no small one."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import FairnessGap, GroupValue
from tasks.gate.decide import decide
from tasks.spec import GateSpec
from tests.unit.judged import LOOK, archive, evaluation

RULES = GateSpec.model_validate({"fairness": [{"column": "source", "maximum_gap": {"selection_rate": 0.1}}]})
TWO = tuple(GroupValue(value=name, rows=500, metric=share) for name, share in (("a", 0.4), ("b", 0.6)))
numbers = st.none() | st.floats(allow_nan=True, allow_infinity=True)


def gap(value: float | None, low: float | None, high: float | None, why: str | None = None) -> FairnessGap:
    return FairnessGap(
        column="source", metric="selection_rate", groups=TWO, gap=value, low=low, high=high, undefined=why
    )


@given(value=numbers, low=numbers, high=numbers)
def test_it_passes_only_where_the_upper_limit_is_within(
    value: float | None, low: float | None, high: float | None
) -> None:
    decision = decide(evaluation(fairness=(gap(value, low, high),)), RULES, archive(), LOOK)
    if decision.verdict == "promote":
        assert value is not None
        assert value <= 0.1
        assert high is not None
        assert high <= 0.1
    if decision.verdict == "reject":
        assert low is not None
        assert low > 0.1


@given(wider=st.floats(0, 1), limit=st.floats(0, 1))
def test_a_larger_maximum_never_makes_the_gate_stricter(wider: float, limit: float) -> None:
    order = ["reject", "hold", "promote"]
    verdicts = []
    for each in sorted([wider, limit]):
        rules = GateSpec.model_validate(
            {"fairness": [{"column": "source", "maximum_gap": {"selection_rate": each}}]}
        )
        verdicts.append(decide(evaluation(fairness=(gap(0.2, 0.1, 0.3),)), rules, archive(), LOOK).verdict)
    assert order.index(verdicts[0]) <= order.index(verdicts[1])


def test_the_groups_are_named() -> None:
    decision = decide(evaluation(fairness=(gap(0.2, 0.15, 0.25),)), RULES, archive(), LOOK)
    assert decision.verdict == "reject"
    assert (
        "fairness.source.selection_rate: The gap in selection_rate between the groups of source, 0.2 [0.15, "
        "0.25] between a 0.4 and b 0.6, is surely above 0.1." in decision.why
    )


def test_a_gap_that_was_not_computed_holds_and_says_why() -> None:
    absent = decide(evaluation(), RULES, archive(), LOOK)
    undefined = decide(
        evaluation(fairness=(gap(None, None, None, "fewer than two groups"),)), RULES, archive(), LOOK
    )
    assert absent.verdict == undefined.verdict == "hold"
    assert "is not known, so its maximum of 0.1 cannot be checked" in absent.why
    assert "is not known: fewer than two groups, so its maximum" in undefined.why
