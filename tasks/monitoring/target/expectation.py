"""What a window's mean is expected to be while nothing has changed.

Two things say it: what the champion was promoted with, and its first windows. These may move the expectation
only within what the promotion's interval leaves open, so that a model that is worse from its first day on is
not taken for one that always was. How much windows differ beyond chance is estimated by the method of moments
and drawn towards an assumption that the first windows overcome; where windows are like the one before, each
of them says less, and the variance counts for more.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from tasks.monitoring.labels.next_batch import FEWEST_BATCHES, Numbers, expected

WINDOWS = 28
"""The first windows that the expectation is learnt from."""
FEWEST = 7
"""So many are needed where nothing else says what to expect."""
ASSUMED_WINDOWS = 8.0
"""How many windows the assumed variance between them counts for."""
SERIAL_WINDOWS = 20
"""So many are needed to tell how alike neighbours are."""
MOST_ALIKE = 0.8


@dataclass(frozen=True)
class Known:
    """A mean that is known before the first window, its standard error, and what it may be at most."""

    value: float
    error: float
    low: float = -inf
    high: float = inf


@dataclass(frozen=True)
class Expectation:
    """Of one more window.

    Attributes:
        center: The mean of such windows' means.
        error: The standard error of `center`.
        between: The variance of their means.
        windows: How many it was learnt from.
    """

    center: float
    error: float
    between: float
    windows: int


def expect(
    values: Numbers, variances: Numbers, known: Known | None, assumed_between: float
) -> Expectation | None:
    """What the next window is expected to be; None where too little is known.

    Args:
        values: The means of the first windows, in order.
        variances: Of their sampling errors, above 0.
        assumed_between: The variance between windows before any is seen.
    """
    if known is None and len(values) < FEWEST:
        return None
    between = between_of(values, variances, assumed_between)
    if not len(values) and known is not None:
        return Expectation(known.value, known.error, between, 0)
    weights = 1 / (variances + between)
    center, error = float(np.average(values, weights=weights)), sqrt(1 / float(weights.sum()))
    if known is not None:
        center, error = _combined(center, error, known)
    return Expectation(center, error, between, len(values))


def _combined(center: float, error: float, known: Known) -> tuple[float, float]:
    """Both estimates of the same mean, weighted by their precision."""
    own, its = 1 / max(error, 1e-12) ** 2, 1 / max(known.error, 1e-12) ** 2
    both = (own * center + its * known.value) / (own + its)
    return min(max(both, known.low), known.high), sqrt(1 / (own + its))


def between_of(values: Numbers, variances: Numbers, assumed: float) -> float:
    """The variance of windows' own means, where neighbours are alike as if there were fewer of them."""
    found = expected(values, variances, np.ones(len(values)))
    if found is None or len(values) < FEWEST_BATCHES:
        return assumed
    alike = _alike(values - found.center) if len(values) >= SERIAL_WINDOWS else 0.0
    measured = found.between * (1 + alike) / (1 - alike)
    return (len(values) * measured + ASSUMED_WINDOWS * assumed) / (len(values) + ASSUMED_WINDOWS)


def _alike(deviations: Numbers) -> float:
    """How much a window is like the one before it: the correlation, between 0 and `MOST_ALIKE`."""
    scale = float((deviations**2).sum())
    if scale <= 0:
        return 0.0
    return min(max(float((deviations[1:] * deviations[:-1]).sum()) / scale, 0.0), MOST_ALIKE)
