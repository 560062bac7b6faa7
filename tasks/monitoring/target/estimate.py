"""How good the model is where no labels have come, by its own confidence; an estimate, and called one.

If the probabilities are right, the mean probability of the answers is the expected accuracy, and so with the
other metrics. That holds as long as the relation between inputs and labels stays what it was, which labels
alone can tell: so each estimate is held against the truth once they come, and what it was wrong by widens
those that follow.

Source: confidence-based performance estimation (CBPE), NannyML; Guillory et al., ICCV 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from tasks.contracts import Metric, ScoreBin, Sums, TargetSummary
from tasks.monitoring.target import measures
from tasks.monitoring.target.measures import REACH, auc_of, auc_variance

ESTIMATED = ("accuracy", "roc_auc", "brier")
FEWEST_CHECKS = 4
UNKNOWN_ERROR = 0.05
"""What a model's confidence may be wrong by of which nothing is known."""


@dataclass(frozen=True)
class Estimate:
    """The value of a metric in [0, 1], its standard error, and what the confidence may be wrong by."""

    value: float
    error: float
    calibration: float

    @property
    def reach(self) -> float:
        """Half the width of its 95 % interval."""
        return REACH * self.error + self.calibration

    @property
    def low(self) -> float:
        return max(self.value - self.reach, 0.0)

    @property
    def high(self) -> float:
        return min(self.value + self.reach, 1.0)


@dataclass(frozen=True)
class Check:
    """Estimates on labelled rows, held against their labels.

    Attributes:
        windows: How many windows were compared.
        bias: Estimate minus truth, as their mean.
        typical: The root of the mean square of what they were off by beyond bias and chance.
    """

    windows: int
    bias: float
    typical: float


def estimate(
    name: str, seen: TargetSummary, calibration: float, *, labelled: bool = False
) -> Estimate | None:
    """The metric by the confidence in all answers, or in the labelled ones; None where it does not tell.

    Args:
        calibration: What the confidence may be wrong by.
    """
    if name == "roc_auc":
        return _auc(seen.bins, calibration, labelled=labelled)
    prefix = "labelled_" if labelled else ""
    sure, doubt = (seen.every.sums.get(prefix + each, Sums()) for each in ("confidence", "doubt"))
    if sure.rows < measures.FEWEST_ROWS or name not in ESTIMATED:
        return None
    if name == "accuracy":
        return Estimate(sure.total / sure.rows, sqrt(max(doubt.total, 0.0)) / sure.rows, calibration)
    found = measures.mean(doubt)
    return None if found is None else Estimate(found.value, sqrt(found.variance or 0.0), calibration)


def _auc(bins: Sequence[ScoreBin], calibration: float, *, labelled: bool) -> Estimate | None:
    rows = np.array([each.labelled if labelled else each.rows for each in bins], dtype=np.float64)
    up = np.array([each.labelled_score_sum if labelled else each.score_sum for each in bins])
    down = rows - up
    if min(up.sum(), down.sum()) < measures.FEWEST_OF_A_CLASS:
        return None
    value = auc_of(up, down)
    # Twice, because it moves the positives and the negatives.
    return Estimate(value, sqrt(auc_variance(value, up.sum(), down.sum())), 2 * calibration)


def check(name: str, windows: Sequence[TargetSummary]) -> Check | None:
    """How far the estimates on labelled rows are from the truth; None where nothing can be compared."""
    off, chance = [], []
    for each in windows:
        said, true = estimate(name, each, 0.0, labelled=True), measures.loss(name, each)
        if said is not None and true is not None:
            off.append(said.value - measures.as_metric(name, true.value))
            chance.append(said.error**2)
    if not off:
        return None
    typical = float(np.var(off) - np.mean(chance))
    return Check(len(off), float(np.mean(off)), sqrt(max(typical, 0.0)))


def calibration_of(found: Check | None, promoted: Metric | None) -> float:
    """What the confidence may be wrong by: what it was, or what the promotion's test rows leave open."""
    if found is not None and found.windows >= FEWEST_CHECKS:
        return abs(found.bias) + found.typical
    return UNKNOWN_ERROR if promoted is None or not np.isfinite(promoted.high) else promoted.high
