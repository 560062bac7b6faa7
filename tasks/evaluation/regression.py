"""Metrics of a regression: scikit-learn's for one set of rows, and the same
over many draws of rows at once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as reference

from tasks.evaluation.answers import Labels


def undefined_because(name: str, truth: Labels, predictions: Labels) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if not len(truth):
        return "there are no rows"
    if unknown := int((~np.isfinite(predictions)).sum()):
        return f"{unknown} of {len(truth)} rows were not answered with a number"
    if name == "r2" and np.ptp(truth) == 0:
        return "all the rows have the same label"
    return None


def point(name: str, truth: Labels, predictions: Labels) -> float:
    """A metric that is defined, on these rows."""
    return float(_POINT[name](truth, predictions))


def over_draws(name: str, truth: Any, prediction: Any, axis: int) -> Any:
    """The metric over many draws; `truth` and `prediction` hold one draw a row."""
    error = prediction - truth
    if name == "mae":
        return np.mean(np.abs(error), axis=axis)
    if name == "median_absolute_error":
        return np.median(np.abs(error), axis=axis)
    squared = np.mean(error**2, axis=axis)
    return np.sqrt(squared) if name == "rmse" else 1 - squared / np.var(truth, axis=axis)


_POINT: dict[str, Callable[[Labels, Labels], float]] = {
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
    "median_absolute_error": reference.median_absolute_error,
    "r2": reference.r2_score,
}
