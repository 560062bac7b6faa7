"""What a summary says of how good the model was, each as a mean that is larger for the worse.

What is watched is the gate's primary metric where a window's counts give it with a sound error: accuracy (its
error is a mean in [0, 1]), ROC AUC (from the binned scores), balanced accuracy, Brier score, log loss of a
binary model, mean absolute error, and the squared error for RMSE. In the place of the others stands the
nearest of those (`WATCHED`).

Source: Hanley and McNeil, Radiology 143:29 (1982), for the standard error of an AUC.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt

import numpy as np

from tasks.contracts import Metric, ScoreBin, Sums, Tally, TargetSummary
from tasks.monitoring.target.evidence import Measured
from tasks.monitoring.target.expectation import Known
from tasks.spec import Task, kind_of

WATCHED: Mapping[str, str] = {
    "f1": "balanced_accuracy",
    "macro_f1": "balanced_accuracy",
    "average_precision": "roc_auc",
    "median_absolute_error": "mae",
    "r2": "rmse",
}
SUMS: Mapping[str, str] = {
    "brier": "brier",
    "log_loss": "log_loss",
    "mae": "absolute_error",
    "rmse": "squared_error",
}
FEWEST_ROWS = 20
FEWEST_OF_A_CLASS = 5
REACH = 1.959963984540054
WITHIN_A_DAY = 0.05
"""An AUC is no mean over rows: that within a day lacks what tells days apart, and is lower than that of all
days together by about so much; the first windows say by how much.
"""


def watched(primary: str, task: Task, *, has_scores: bool) -> str:
    """The metric that is watched in the place of the primary one."""
    name = WATCHED.get(primary, primary)
    if task == "multiclass" and name == "log_loss":
        return "accuracy"  # the log has the score of the answer alone
    return name if has_scores or name not in {"roc_auc", "brier", "log_loss"} else "balanced_accuracy"


def as_loss(name: str, value: float) -> float:
    """A metric's value as what is watched: larger for the worse."""
    if name == "rmse":
        return value**2
    return 1 - value if kind_of(name).larger_is_better else value


def as_metric(name: str, loss: float) -> float:
    """The metric's value again."""
    if name == "rmse":
        return sqrt(max(loss, 0.0))
    return 1 - loss if kind_of(name).larger_is_better else loss


def known(name: str, metric: Metric | None) -> Known | None:
    """What the promotion says of it; None where it says nothing."""
    if metric is None or not np.isfinite([metric.value, metric.low, metric.high]).all():
        return None
    value, *ends = (as_loss(name, each) for each in (metric.value, metric.low, metric.high))
    error = (max(ends) - min(ends)) / 2 / REACH
    if name == "roc_auc":
        return Known(value, sqrt(error**2 + WITHIN_A_DAY**2), min(ends), max(ends) + 2 * WITHIN_A_DAY)
    return Known(value, error, min(ends), max(ends))


def loss(name: str, seen: TargetSummary) -> Measured | None:
    """The watched loss of a window's labelled rows; None where they do not define it."""
    if name == "roc_auc":
        return auc_loss(seen.bins)
    return loss_of_tally(name, seen.every)


def loss_of_tally(name: str, tally: Tally) -> Measured | None:
    if name in SUMS:
        return mean(tally.sums.get(SUMS[name], Sums()))
    if not tally.labelled:
        return None
    if name == "balanced_accuracy":
        return _balanced(tally)
    return Measured(1 - sum(tally.right.values()) / tally.labelled, tally.labelled)


def mean(sums: Sums, sign: int = 1) -> Measured | None:
    """The mean of numbers; None where they are too few for its error."""
    return mean_of(sums.rows, sums.total, sums.squares, sign)


def mean_of(rows: int, total: float, squares: float, sign: int = 1) -> Measured | None:
    if rows < FEWEST_ROWS:
        return None
    value = total / rows
    spread = max(squares / rows - value**2, 0.0) / (rows - 1)
    return Measured(sign * value, rows, max(spread, 1e-12))


def _balanced(tally: Tally) -> Measured | None:
    counts = [(tally.right.get(name, 0), rows) for name, rows in tally.labels.items()]
    if len(counts) < 2 or min(rows for _, rows in counts) < FEWEST_OF_A_CLASS:
        return None
    recalls = [right / rows for right, rows in counts]
    return Measured(
        1 - float(np.mean(recalls)),
        tally.labelled,
        sum(share_variance(right, rows) for right, rows in counts) / len(counts) ** 2,
    )


def share_variance(hits: float, rows: float) -> float:
    """Of a share's sampling error, never 0: one half of a row is added to either side."""
    share = (hits + 0.5) / (rows + 1)
    return share * (1 - share) / rows


def auc_of(positives: Iterable[float], negatives: Iterable[float]) -> float:
    """The AUC of binned scores, lowest bin first; rows of one bin count half."""
    up, down = np.array(list(positives)), np.array(list(negatives))
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / (up.sum() * down.sum()))


def auc_loss(bins: Sequence[ScoreBin]) -> Measured | None:
    positives, rows = sum(each.positive for each in bins), sum(each.labelled for each in bins)
    negatives = rows - positives
    if min(positives, negatives) < FEWEST_OF_A_CLASS:
        return None
    value = auc_of((each.positive for each in bins), (each.labelled - each.positive for each in bins))
    return Measured(1 - value, rows, auc_variance(value, positives, negatives))


def auc_variance(value: float, positives: float, negatives: float) -> float:
    """By Hanley and McNeil, of a value that is kept away from 0 and 1, where the error would vanish."""
    least = 0.5 / (min(positives, negatives) + 1)
    area = min(max(value, least), 1 - least)
    up, down = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    return (area * (1 - area) + (positives - 1) * up + (negatives - 1) * down) / (positives * negatives)


def merged(first: TargetSummary, second: TargetSummary) -> TargetSummary:
    """Two windows as one."""
    groups = {(each.column, each.value): each for each in first.groups}
    for each in second.groups:
        key = (each.column, each.value)
        groups[key] = merged_tally(groups[key], each) if key in groups else each
    bins = {each.number: each for each in first.bins}
    for one in second.bins:
        bins[one.number] = _merged_bin(bins[one.number], one) if one.number in bins else one
    return first.model_copy(
        update={
            "window_end": second.window_end,
            "every": merged_tally(first.every, second.every),
            "bins": tuple(bins[number] for number in sorted(bins)),
            "groups": tuple(groups.values()),
        }
    )


def merged_tally(first: Tally, second: Tally) -> Tally:
    names = ("predicted", "labels", "answered", "right")
    counts = {name: _added(getattr(first, name), getattr(second, name)) for name in names}
    own, other = first.sums, second.sums
    sums = {
        name: _both(own[name], other[name]) if name in own and name in other else own.get(name) or other[name]
        for name in own | other
    }
    rows = {"rows": first.rows + second.rows, "labelled": first.labelled + second.labelled}
    return first.model_copy(update={**counts, **rows, "sums": sums})


def _both(first: Sums, second: Sums) -> Sums:
    """Without the checks that its parts have passed, which take the most of the time."""
    return Sums.model_construct(
        rows=first.rows + second.rows,
        total=first.total + second.total,
        squares=first.squares + second.squares,
    )


def _merged_bin(first: ScoreBin, second: ScoreBin) -> ScoreBin:
    names = ("rows", "score_sum", "labelled", "positive", "labelled_score_sum")
    return first.model_copy(update={name: getattr(first, name) + getattr(second, name) for name in names})


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    found = dict(first)
    for name, rows in second.items():
        found[name] = found.get(name, 0) + rows
    return found


def without_groups(seen: TargetSummary) -> TargetSummary:
    """A window with nothing but what is asked of all of its rows."""
    return seen.model_copy(update={"groups": ()})
