"""Evidence, window after window, that a mean lies above a boundary.

A Shiryaev-Roberts e-detector: before each window the evidence gains 1, for a change that may begin there, and
is then multiplied by the window's e-value, whose expectation is at most 1 while the mean is at most the
boundary. So the evidence expects at most as many windows as have passed, and reaches `c` not sooner than
after `c` windows on average, whatever the days before were like. It is a mean over several alternatives, from
a change that just matters to one of 64 times that.

Of losses in [0, 1] the e-value needs nothing but their sum: of all distributions in [0, 1] with one mean the
Bernoulli has the largest exponential moments, so that exp(t * sum) / (1 - m + m * exp(t))^n expects at most 1
for every mean of at most m. Days that differ by more than chance count as fewer rows, as many as have the
same variance (quasi-likelihood). Of other means it is the likelihood ratio of two normal distributions; no
window may speak for more than so many standard errors, so that one strange day does not alarm alone.

Sources: Shin, Ramdas and Rinaldo, E-detectors (2022, arXiv 2203.03532); Hoeffding, J. Am. Stat. Assoc. 58:13
    (1963), for the Bernoulli's moments; Wedderburn, Biometrika 61:439 (1974), for quasi-likelihood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

ALTERNATIVES = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
"""Changes beyond the boundary, in the unit of the detector."""
MOST_ERRORS = 4.0
"""How many standard errors above the boundary a window counts for."""
CAP = log(10.0)
"""The evidence stays below ten times its threshold, so that a model that has recovered is quiet again."""
CERTAIN = 0.999

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A mean of one window that is larger for the worse.

    Attributes:
        variance: Of its sampling error; None of a mean of numbers in [0, 1] of which nothing else is known.
    """

    value: float
    rows: int
    variance: float | None = None


@dataclass(frozen=True)
class Null:
    """What is said of a window's mean before it is seen.

    Attributes:
        boundary: The largest mean that is no change.
        between: The variance of windows' own means.
        unit: The smallest change beyond the boundary that matters.
    """

    boundary: float
    between: float
    unit: float


@dataclass(frozen=True)
class Path:
    """The logarithm of the evidence after each window, and since which window it grew.

    Attributes:
        since: The place of the window from which on the windows speak for a change the most, at each window.
    """

    log_evidence: Numbers
    since: NDArray[np.int64]


def log_e_values(seen: Measured, null: Null, most_errors: float = MOST_ERRORS) -> Numbers:
    """The logarithm of the window's e-value for each alternative, shape (alternatives,)."""
    changes = null.unit * np.array(ALTERNATIVES)
    if seen.variance is None:
        return _of_a_share(seen, null, changes)
    variance = max(seen.variance + null.between, 1e-300)
    above = min(seen.value - null.boundary, most_errors * float(np.sqrt(variance)))
    return np.asarray((above * changes - changes**2 / 2) / variance)


def _of_a_share(seen: Measured, null: Null, changes: Numbers) -> Numbers:
    low = min(max(null.boundary, 1 - CERTAIN), CERTAIN)
    high = np.minimum(low + changes, (1 + low) / 2)
    rows = seen.rows / (1 + seen.rows * null.between / (low * (1 - low)))
    right, wrong = np.log1p(-high) - np.log1p(-low), np.log(high) - np.log(low)
    return np.asarray(rows * (seen.value * wrong + (1 - seen.value) * right))


def path(log_e: Sequence[Numbers], log_threshold: float) -> Path:
    """The evidence after each window.

    Args:
        log_e: Of each window in order, as `log_e_values` gives them.
        log_threshold: At what logarithm of the evidence it alarms.
    """
    evidence = np.full(len(ALTERNATIVES), -np.inf)
    run, started = np.zeros(len(ALTERNATIVES)), np.zeros(len(ALTERNATIVES), np.int64)
    told = np.zeros((len(log_e), len(ALTERNATIVES)))
    since = np.zeros((len(log_e), len(ALTERNATIVES)), np.int64)
    for place, each in enumerate(log_e):
        evidence = np.minimum(np.logaddexp(evidence, 0.0) + each, log_threshold + CAP)
        started = np.where(run <= 0, place, started)
        run = np.maximum(run, 0.0) + each
        told[place], since[place] = evidence, started
    strongest = told.argmax(axis=1) if len(told) else np.zeros(0, np.int64)
    return Path(
        np.logaddexp.reduce(told, axis=1) - log(len(ALTERNATIVES)),
        since[np.arange(len(since)), strongest],
    )


def log_threshold(alarms_a_year: float, windows_a_year: float) -> float:
    """What the evidence has to reach so that it does at most so often: once in so many windows on average."""
    return log(max(windows_a_year / alarms_a_year, 1.0))
