"""Metrics that are a share of rows: of all rows the right ones, of a class the found ones, of those that are
called positive the ones that are.

Sources: Wilson's interval (Brown, Cai and DasGupta, Statistical Science 16:101, 2001); for a difference
Wald's with one added disagreement each way, so that few of them do not pass for certainty (Bonett and Price,
J. Educ. Behav. Stat. 37:479, 2012); McNemar's exact test, which holds its level at any number of rows
(Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13:91, 2013).
"""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.evaluation.answers import Codes
from tasks.evaluation.bootstrap import CONFIDENCE
from tasks.spec import RECALL_OF

POSITIVE = 1


class Share(NamedTuple):
    value: float
    low: float
    high: float


def is_share(name: str) -> bool:
    return name in {"accuracy", "precision", "recall"} or name.startswith(RECALL_OF)


def rows_of_share(name: str, truth: Codes, said: Codes, code: int) -> NDArray[np.bool_]:
    """The rows that the share is of; `code` is the class of a recall."""
    if name == "accuracy":
        return np.ones(len(truth), dtype=np.bool_)
    return np.asarray(said == POSITIVE if name == "precision" else truth == code)


def measure(right: NDArray[np.bool_]) -> Share:
    """The share of rows that are right, with Wilson's interval; of no rows 0, and nothing is known of it."""
    if not len(right):
        return Share(0.0, 0.0, 1.0)
    from scipy import stats

    interval = stats.binomtest(int(right.sum()), len(right)).proportion_ci(CONFIDENCE, method="wilson")
    return Share(float(right.mean()), float(interval.low), float(interval.high))


class PValues(NamedTuple):
    """Of two shares of the same rows: that they are equal, that the first is not larger, and not smaller."""

    equal: float
    not_larger: float
    not_smaller: float


def difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[Share, PValues]:
    """By how much larger the first share of the same rows is, and McNemar's p-values."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    value = (only_first - only_second) / len(first)
    low, high = _around(only_first + 1, only_second + 1, len(first) + 2)
    return Share(value, min(low, value), max(high, value)), mcnemar(only_first, only_second)


def mcnemar(only_first: int, only_second: int) -> PValues:
    """The exact p-values, from the rows where only one of two models is right."""
    disagreements = only_first + only_second
    if not disagreements:
        return PValues(1.0, 1.0, 1.0)
    from scipy import stats

    sides = ("two-sided", "greater", "less")
    tests = (stats.binomtest(only_first, disagreements, alternative=side) for side in sides)
    return PValues(*(float(test.pvalue) for test in tests))


def _around(only_first: int, only_second: int, rows: int) -> tuple[float, float]:
    """Wald's interval of the difference of two paired shares."""
    value = (only_first - only_second) / rows
    error = sqrt(((only_first + only_second) / rows - value**2) / rows)
    reach = float(special.ndtri((1 + CONFIDENCE) / 2)) * error
    return value - reach, value + reach
