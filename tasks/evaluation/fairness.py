"""How differently a model treats the groups of its test rows.

The groups' values are Fairlearn's. Its bootstrap takes one draw at a time in Python, so the interval of the
largest gap is computed here, over many draws at once; a test holds the two to the same values.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import FairnessGap, GroupValue
from tasks.evaluation.answers import Answers, Numbers, Truth
from tasks.evaluation.bootstrap import Statistic, Weights, intervals
from tasks.evaluation.frozen_rows import Frozen
from tasks.spec import GapMetric, PipelineSpec

POSITIVE = 1
Chosen = NDArray[np.bool_]


def gaps_of(answers: Answers, spec: PipelineSpec, frozen: Frozen) -> Iterator[FairnessGap]:
    """The largest gap between two groups for each metric that `gate.fairness` names, with its 95 % interval.

    A draw of groups that are treated alike has gaps by chance, so both limits lean to the larger side.
    """
    for asked in spec.gate.fairness:
        groups = {
            part.value: part.rows
            for part in frozen.parts()
            if part.column == asked.column and part.rows.sum() >= spec.gate.minimum_slice_rows
        }
        for metric in asked.maximum_gap:
            yield _gap(asked.column, metric, groups, frozen.truth, answers)


def _gap(
    column: str, metric: GapMetric, groups: dict[str, Chosen], truth: Truth, answers: Answers
) -> FairnessGap:
    counted = _counted(metric, truth)
    values = _per_row(metric, truth, answers)
    if reason := _undefined_because(metric, groups, counted, values):
        return FairnessGap(column=column, metric=metric, groups=(), undefined=reason)
    found = by_group(metric, groups, truth, answers)
    told = tuple(
        GroupValue(value=name, rows=int(groups[name].sum()), metric=each) for name, each in found.items()
    )
    gap = max(found.values()) - min(found.values())
    [limits] = intervals([_gap_over(groups, counted, values)], len(truth))
    if not np.isfinite(limits).all():
        reason = "not every draw of the rows has the rows of each group that it is computed from"
        return FairnessGap(column=column, metric=metric, groups=told, undefined=reason)
    low, high = min(limits.low, gap), max(limits.high, gap)
    return FairnessGap(column=column, metric=metric, gap=gap, low=low, high=high, groups=told)


def _undefined_because(
    metric: GapMetric, groups: dict[str, Chosen], counted: Chosen, values: Numbers
) -> str | None:
    if len(groups) < 2:
        return "fewer than two groups have enough test rows"
    if empty := [name for name, rows in groups.items() if not (rows & counted).any()]:
        kind = "positive" if metric == "true_positive_rate" else "negative"
        return f"the group {empty[0]} has no {kind} rows"
    return None if np.isfinite(values).all() else "not every row was answered with a number"


def by_group(
    metric: GapMetric, groups: dict[str, Chosen], truth: Truth, answers: Answers
) -> dict[str, float]:
    """The metric in each group."""
    import fairlearn.metrics as fair
    from sklearn.metrics import accuracy_score, mean_absolute_error

    functions: dict[GapMetric, Any] = {
        "selection_rate": fair.selection_rate,
        "true_positive_rate": fair.true_positive_rate,
        "false_positive_rate": fair.false_positive_rate,
        "accuracy": accuracy_score,
        "mae": mean_absolute_error,
        "mean_prediction": fair.mean_prediction,
    }
    names = np.full(len(truth), "", dtype=object)
    for name, rows in groups.items():
        names[rows] = name
    known = names != ""
    said = answers.predictions[known]
    if metric.endswith("_rate"):  # what is no label was not selected
        said = np.where(said == POSITIVE, 1, 0)
    frame = fair.MetricFrame(
        metrics=functions[metric], y_true=truth[known], y_pred=said, sensitive_features=names[known]
    )
    return {str(name): float(value) for name, value in frame.by_group.items()}


def _counted(metric: GapMetric, truth: Truth) -> Chosen:
    """The rows that a metric is the mean over."""
    if metric == "true_positive_rate":
        return np.asarray(truth == POSITIVE)
    return np.asarray(truth != POSITIVE) if metric == "false_positive_rate" else np.ones(len(truth), np.bool_)


def _per_row(metric: GapMetric, truth: Truth, answers: Answers) -> Numbers:
    """What a metric is the mean of."""
    said = answers.predictions
    if metric == "accuracy":
        return np.asarray(said == truth, np.float64)
    if metric == "mae":
        return np.asarray(np.abs(said - truth), np.float64)
    if metric == "mean_prediction":
        return np.asarray(said, np.float64)
    return np.asarray(said == POSITIVE, np.float64)


def _gap_over(groups: dict[str, Chosen], counted: Chosen, values: Numbers) -> Statistic:
    members = np.column_stack([rows & counted for rows in groups.values()]).astype(np.float64)

    def over(weights: Weights) -> NDArray[np.float64]:
        means = (weights @ (members * values[:, None])) / (weights @ members)
        return np.asarray(means.max(axis=1) - means.min(axis=1))

    return over
