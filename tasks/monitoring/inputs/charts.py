"""Follow the statistics of the columns over windows, and say when a change is sure.

Two charts share what they may alarm falsely. The fast one alarms when a statistic is off on two of three
windows in a row, in the same direction; the threshold follows from how alike two days in a row are. The slow
one adds up evidence over all windows since the last alarm: a Shiryaev-Roberts e-detector for each statistic,
in both directions and for three sizes of change, and their mean over all of them, which crosses `1 / rate`
less often than once in so many windows, whatever the statistics have to do with each other. One freak day
alarms neither: its evidence is clipped.

What is certain but smaller than its floor does not count.

Sources: Shin, Ramdas and Rinaldo, E-detectors: a nonparametric framework for sequential change detection,
New England Journal of Statistics in Data Science 2 (2024), for averages of e-detectors; Pollak, Optimal
detection of a change in distribution, Annals of Statistics 13 (1985), for Shiryaev-Roberts; Genz, Numerical
computation of rectangular bivariate and trivariate normal and t probabilities, Statistics and Computing 14
(2004), for the thresholds of pairs.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.monitoring.inputs.calibrate import Calibration

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIZES = (0.5, 1.0, 2.0)
"""The sizes of change that the slow chart looks for, in standard deviations of a day."""

CLIP = 3.0
FAST_SHARE = 0.6
NODES = 48

MOST_FREEDOM = 200.0
"""More degrees of freedom change no threshold, and the quadrature has no weights for many more."""


@dataclass(frozen=True)
class Charts:
    """Both charts over windows x statistics.

    Attributes:
        fast: Where the fast chart alarms, for each window and statistic.
        thresholds: What the fast chart asks of each statistic, in standard deviations.
        evidence: The slow chart's mean over all statistics, for each window.
        by_statistic: Each statistic's own part of it.
        limit: What `evidence` had to reach.
    """

    fast: Bools
    thresholds: Floats
    evidence: Floats
    by_statistic: Floats
    limit: float

    @property
    def alarms(self) -> Bools:
        """For each window, whether one of the charts alarms."""
        return np.asarray(self.fast.any(axis=1) | (self.evidence >= self.limit))


def follow(z: Floats, matters: Bools, zone: Floats, usual: Calibration, rate: float) -> Charts:
    """Both charts.

    Args:
        z: How far each window is off, in standard deviations of a day: windows x statistics.
        matters: Whether it is off by its floor or more, for each of `z`.
        zone: Changes up to this size are no evidence for the slow chart, in standard deviations of a day.
        usual: The calibration that `z` was made by.
        rate: How many false alarms a window may give, both charts together.
    """
    count = z.shape[1]
    thresholds = pair_thresholds(usual, FAST_SHARE * rate / count)
    limit = 1 / ((1 - FAST_SHARE) * rate)
    by_statistic = detectors(z, matters, zone, usual, limit)
    return Charts(
        fast=two_of_three(np.nan_to_num(z), matters, thresholds),
        thresholds=thresholds,
        evidence=by_statistic.sum(axis=1) / count,
        by_statistic=by_statistic,
        limit=limit,
    )


def two_of_three(z: Floats, matters: Bools, thresholds: Floats) -> Bools:
    """Where a window and one of the two before it are off in the same direction."""
    found = np.zeros(z.shape, dtype=bool)
    for side in (1, -1):
        off = (side * z >= thresholds) & matters
        for gap in (1, 2):
            found[gap:] |= off[gap:] & off[:-gap]
    return found


def detectors(z: Floats, matters: Bools, zone: Floats, usual: Calibration, limit: float) -> Floats:
    """The mean of each statistic's e-detectors, 0 where its change so far is below its floor.

    Where one has passed the limit by itself, it begins anew once its change is over: else what is over would
    speak for an alarm for weeks.
    """
    found = np.zeros((*z.shape, 2 * len(SIZES)))
    for side, first in ((1, 0), (-1, len(SIZES))):
        news = _news(np.where(np.isnan(z), 0, side * z - zone), usual)
        for number, size in enumerate(SIZES, start=first):
            found[:, :, number] = np.exp(news * size - size**2 / 2)
    held = np.zeros(found.shape[1:])
    passed = np.zeros(z.shape[1], dtype=bool)
    for factors, matter in zip(found, matters, strict=True):
        held = (1 + held) * factors
        factors[:] = held
        passed |= matter & (held.mean(axis=1) >= limit)
        held[passed & ~matter] = 0
        passed &= matter
    return np.where(matters, found.mean(axis=2), 0)


def _news(z: Floats, usual: Calibration) -> Floats:
    """What each window says that the one before it had not said, as a standard normal, clipped."""
    scores = special.ndtri(np.clip(special.stdtr(usual.freedom, z), 1e-12, 1 - 1e-12))
    before = np.vstack([np.zeros((1, z.shape[1])), scores[:-1]])
    news = (scores - usual.autocorrelation * before) / np.sqrt(1 - usual.autocorrelation**2)
    return np.asarray(np.clip(news, -CLIP, CLIP))


def pair_thresholds(usual: Calibration, rate: float) -> Floats:
    """What two of three windows exceed together with the probability `rate` a window, in either direction; at
    least what two of three days of the reference did.
    """
    grid = np.linspace(0, 0.9, 10)
    known = np.array([pair_threshold(round(float(step), 2), usual.freedom, rate) for step in grid])
    return np.asarray(np.maximum(np.interp(usual.autocorrelation, grid, known), usual.worst_pair))


@lru_cache(maxsize=256)
def pair_threshold(autocorrelation: float, freedom: float, rate: float) -> float:
    """The value that a window and one of the two before it both exceed with the probability `rate`."""
    from scipy import optimize

    def excess(value: float) -> float:
        pairs = _both(value, autocorrelation, freedom) + _both(value, autocorrelation**2, freedom)
        return float(np.log(2 * pairs) - np.log(rate))

    return float(optimize.brentq(excess, 0.1, 200, xtol=1e-3))


def _both(value: float, correlation: float, freedom: float) -> float:
    """The probability that both of two t-distributed values with a common scale exceed `value`."""
    nodes, weights = _of_scale(min(freedom, MOST_FREEDOM))
    heights = value * np.sqrt(2 * nodes / min(freedom, MOST_FREEDOM))
    points, steps = _of_correlation()
    r = correlation * (points + 1) / 2
    inner = np.exp(-(heights[:, None] ** 2) / (1 + r)) / np.sqrt(1 - r**2)
    joint = special.ndtr(-heights) ** 2 + (inner * steps).sum(axis=1) * correlation / (4 * np.pi)
    return float(max((weights * joint).sum(), 1e-300))


@lru_cache(maxsize=256)
def _of_scale(freedom: float) -> tuple[Floats, Floats]:
    """Where the common scale of two t-distributed values is looked at, and the weights, whose sum is 1.

    To make them takes far longer than to use them.
    """
    nodes, weights = special.roots_genlaguerre(NODES, freedom / 2 - 1)
    return nodes, weights / weights.sum()


@lru_cache(maxsize=1)
def _of_correlation() -> tuple[Floats, Floats]:
    """Where the correlations from 0 to that of two values are looked at, in [-1, 1], and the weights."""
    return np.polynomial.legendre.leggauss(NODES)
