"""How much more than a sample shows a proposal allows.

A sample is one delivery of many. What it shows is read as an estimate, with its upper confidence limit; what
no sample can show, how far ordinary deliveries differ, is added as a share that was chosen on real ones (New
York's taxi trips, month by month).
"""

import math
import sys

from scipy.stats import binomtest

CONFIDENCE = 0.99

BAD_SHARE = 0.05
"""Of the rows with a value, more than the limit may break a rule.

Ordinary taxi months have at most 0.6 % of negative fares; a program that writes wrong values seldom writes
only one in twenty.
"""

NULL_SHARE = 0.10
"""Of a column that lacks values in the sample, more than the limit may lack them: in the taxi's columns it
went from 1.3 % to 8.0 % within a month.
"""

RANGE_SHARE = 0.5
"""A range reaches beyond the sample's by this share of its width, at either end.

The largest of so many further values is seldom that far away, and a wrong unit (cents, metres) is.
"""

STRAY_SHARE = 0.01
"""Where fewer values than this are negative, they are strays of a quantity that is not negative."""

YEARS = 20
"""Times may lie this far from the sample's years.

Deliveries go on, so the limit is for the dates that stand for a missing one: 1900, 1970, 9999.
"""

LARGEST = sys.float_info.max


def upper_limit(count: int, total: int) -> float:
    """The largest share of which `count` in `total` may well be a sample.

    Source: Clopper, Pearson, Biometrika 26:404 (1934); one-sided, at `CONFIDENCE`.
    """
    interval = binomtest(count, total, alternative="less").proportion_ci(CONFIDENCE, method="exact")
    return float(interval.high)


def bad_share(broken: int, total: int) -> float:
    """Of the rows with a value, the share that may break a rule which `broken` of `total` broke."""
    return min(1.0, upper_limit(broken, total) + BAD_SHARE)


def null_share(missing: int, total: int) -> float:
    """The share of rows that may lack the value that `missing` of `total` in the sample lack."""
    return min(1.0, upper_limit(missing, total) + NULL_SHARE)


def mostly(share: float) -> float:
    """The share of rows that have to be right where `share` may be wrong, to three places."""
    return math.floor((1 - share) * 1000) / 1000


def widen(low: float, high: float) -> tuple[float, float]:
    """A range with its slack, its ends rounded outwards to a hundredth of its width or a little more.

    Where that is beyond the largest or the smallest of the numbers that float64 holds, they are not rounded.
    """
    slack = RANGE_SHARE * (high - low)
    try:
        places = 1 - math.floor(math.log10(high - low))
        step = 10.0**-places
        lowest = round(math.floor((low - slack) / step) * step, places)
        highest = round(math.ceil((high + slack) / step) * step, places)
    except (OverflowError, ZeroDivisionError):
        return max(low - slack, -LARGEST), min(high + slack, LARGEST)
    return max(lowest, -LARGEST), min(highest, LARGEST)
