"""The percentile bootstrap of several statistics over the same draws of the rows.

A draw takes as many rows as there are, with replacement; a statistic is told how often each row is in it. So
one draw serves every metric of a model and, in a difference, both models; and what needs an order of the rows
(a median, a ROC curve) sorts once and not once a draw.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
SEED = 20_250_101
MOST_DRAWS = 1000
FEWEST_DRAWS = 200
DRAWN_ROWS = 100_000_000
ROWS_AT_ONCE = 130_000

Weights = NDArray[np.float64]
"""How often each row is in each draw, shape (draws, rows)."""
Statistic = Callable[[Weights], NDArray[np.float64]]
"""A value for each draw, shape (draws,); NaN where the draw does not define it."""


class Interval(NamedTuple):
    """A statistic's 95 % interval, and its standard error."""

    low: float
    high: float
    error: float


UNKNOWN = Interval(*[float("nan")] * 3)


def intervals(statistics: Sequence[Statistic], rows: int) -> list[Interval]:
    """Each statistic's 95 % interval; NaN where some draws leave it undefined.

    Fewer draws are taken of more than 100,000 rows.
    """
    if rows < 2 or not statistics:
        return [UNKNOWN] * len(statistics)
    from scipy import stats

    def of_draws(drawn: NDArray[np.int64], axis: int) -> NDArray[np.float64]:  # noqa: ARG001 - SciPy's interface
        weights = _weights(drawn)
        return np.stack([statistic(weights) for statistic in statistics])

    with warnings.catch_warnings():
        # A draw without one of the classes divides by zero: its NaN is what we look at.
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (np.arange(rows),),
            of_draws,
            vectorized=True,
            method="percentile",
            confidence_level=CONFIDENCE,
            n_resamples=int(np.clip(DRAWN_ROWS // rows, FEWEST_DRAWS, MOST_DRAWS)),
            batch=max(1, ROWS_AT_ONCE // rows),
            rng=np.random.default_rng(SEED),
        )
    limits = found.confidence_interval
    numbers = zip(limits.low, limits.high, found.standard_error, strict=True)
    return [Interval(*map(float, each)) for each in numbers]


def mean_of(values: NDArray[Any]) -> Statistic:
    """The mean of `values`, shape (rows,)."""
    return lambda weights: weights @ values / weights.sum(axis=1)


def minus(first: Statistic, second: Statistic) -> Statistic:
    """How much larger one statistic is than another of the same draw."""
    return lambda weights: first(weights) - second(weights)


def _weights(drawn: NDArray[np.int64]) -> Weights:
    draws, rows = drawn.shape
    cells = (drawn + np.arange(draws)[:, None] * rows).ravel()
    return np.bincount(cells, minlength=draws * rows).reshape(draws, rows).astype(np.float64)
