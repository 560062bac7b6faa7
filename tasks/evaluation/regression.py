"""Metrics of numbers: their values, and the same over many draws of the rows at once.

The values are scikit-learn's; a test holds the draws to them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from tasks.evaluation.answers import Answers, Numbers
from tasks.evaluation.bootstrap import Statistic, Weights, mean_of

NO_SPREAD = 1e-12
"""Labels whose variance is this share of their mean square or less are all the same, but for rounding."""


def undefined_because(name: str, truth: Numbers, answers: Answers) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if not len(truth):
        return "there are no rows"
    if missing := int((~np.isfinite(answers.predictions)).sum()):
        return f"{missing} of {len(truth)} rows were not answered with a finite number"
    return "all the rows have the same label" if name == "r2" and np.ptp(truth) == 0 else None


def point(name: str, truth: Numbers, answers: Answers) -> float:
    """The metric on the rows as they are; infinite where numbers are too large to be squared."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(_POINT[name](truth, answers.predictions))


def statistic(name: str, truth: Numbers, answers: Answers) -> Statistic:
    """The metric over draws."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = answers.predictions - truth
        if name == "mae":
            return mean_of(np.abs(error))
        if name == "median_absolute_error":
            return _median(np.abs(error))
        mean_square = mean_of(error**2)
        return _r2(truth, mean_square) if name == "r2" else lambda weights: np.sqrt(mean_square(weights))


def _median(values: Numbers) -> Statistic:
    """The middle of the values, or the mean of the two in the middle."""
    order = np.argsort(values)
    ordered, last = values[order], len(values) - 1

    def over(weights: Weights) -> NDArray[np.float64]:
        until = np.cumsum(np.take(weights, order, axis=1), axis=1)
        middle = [ordered[(until <= place).sum(axis=1)] for place in (last // 2, (last + 1) // 2)]
        return np.asarray((middle[0] + middle[1]) / 2)

    return over


def _r2(truth: Numbers, mean_square: Statistic) -> Statistic:
    centred = truth - truth.mean()
    mean, square = mean_of(centred), mean_of(centred**2)

    def over(weights: Weights) -> NDArray[np.float64]:
        spread = square(weights)
        variance = spread - mean(weights) ** 2
        return np.where(variance > NO_SPREAD * spread, 1 - mean_square(weights) / variance, np.nan)

    return over


_POINT: dict[str, Callable[[Numbers, Numbers], float]] = {
    "rmse": sklearn_metrics.root_mean_squared_error,
    "mae": sklearn_metrics.mean_absolute_error,
    "median_absolute_error": sklearn_metrics.median_absolute_error,
    "r2": sklearn_metrics.r2_score,
}
