"""The gap between groups is Fairlearn's, and what cannot be computed says why."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fairlearn.metrics import equalized_odds_difference

from tasks.contracts import FairnessGap
from tasks.evaluation.answers import Answers, Target
from tasks.evaluation.fairness import _counted, _gap_over, _per_row, by_group, gaps_of
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.slices import SlicedColumn
from tasks.spec import GapMetric, PipelineSpec, Task
from tasks.spec.fairness import GAP_METRICS, FairnessSpec
from tests.unit.judged import SPEC

RNG = np.random.default_rng(5)
GROUPS = np.array(["a"] * 300 + ["b"] * 300 + ["c"] * 20)
TRUTH = RNG.integers(0, 2, 620)
SAID = np.where(RNG.random(620) < np.where(GROUPS == "a", 0.9, 0.7), TRUTH, 1 - TRUTH)


def gaps(
    *metrics: GapMetric, truth: Any = TRUTH, said: Any = SAID, groups: Any = GROUPS, task: Task = "binary"
) -> list[FairnessGap]:
    asked = FairnessSpec(column="source", maximum_gap=dict.fromkeys(metrics, 0.1))
    spec: PipelineSpec = SPEC.model_copy(update={"gate": SPEC.gate.model_copy(update={"fairness": (asked,)})})
    frozen = Frozen(pa.table({}), "", Path(), Target(task, (0, 1)), truth, (SlicedColumn("source", groups),))
    return list(gaps_of(Answers(said), spec, frozen))


def test_groups_with_enough_rows_are_compared_as_fairlearn_compares_them() -> None:
    found = gaps("true_positive_rate", "false_positive_rate", "selection_rate", "accuracy")

    large = GROUPS != "c"
    odds = equalized_odds_difference(TRUTH[large], SAID[large], sensitive_features=GROUPS[large])
    assert max(each.gap or 0 for each in found[:2]) == pytest.approx(odds)
    assert {group.value: group.rows for group in found[0].groups} == {"a": 300, "b": 300}
    for each in found:
        assert each.gap is not None
        assert each.low is not None
        assert each.high is not None
        assert each.low <= each.gap <= each.high
    assert (found[3].low or 0) > 0.1


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_draw_gives_what_fairlearn_says_of_its_rows(task: Task) -> None:
    masks = {name: name == GROUPS for name in ("a", "b")}
    times = np.random.default_rng(1).multinomial(620, np.full(620, 1 / 620))
    truth, said = (TRUTH, SAID) if task == "binary" else (TRUTH * 3.0, SAID * 2.5)
    drawn = {name: np.repeat(rows, times) for name, rows in masks.items()}
    for metric in GAP_METRICS[task]:
        values = _per_row(metric, truth, Answers(said))
        [gap] = _gap_over(masks, _counted(metric, truth), values)(times[None, :].astype(float))
        again = by_group(metric, drawn, np.repeat(truth, times), Answers(np.repeat(said, times)))
        assert gap == pytest.approx(max(again.values()) - min(again.values())), metric


def test_answers_that_are_no_label_are_wrong_and_not_selected() -> None:
    [selected, right] = gaps("selection_rate", "accuracy", said=np.where(GROUPS == "a", -1, SAID))
    assert {group.value: group.metric for group in selected.groups}["a"] == 0
    assert {group.value: group.metric for group in right.groups}["a"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"groups": np.array(["a"] * 620)}, "fewer than two groups have enough test rows"),
        ({"truth": np.where(GROUPS == "a", 0, TRUTH)}, "the group a has no positive rows"),
    ],
)
def test_a_gap_that_is_not_defined_says_why(changes: dict[str, Any], said: str) -> None:
    [found] = gaps("true_positive_rate", **changes)
    assert (found.gap, found.undefined) == (None, said)


def test_a_regression_that_leaves_a_row_out_has_no_gap() -> None:
    said = np.where(np.arange(620) == 3, np.nan, SAID)
    [found] = gaps("mae", truth=TRUTH.astype(float), said=said, task="regression")
    assert found.undefined == "not every row was answered with a number"
