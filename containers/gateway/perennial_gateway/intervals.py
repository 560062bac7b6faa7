"""95 % intervals of what was counted: plain numbers in, plain numbers out."""

import math
from typing import NamedTuple

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Interval(NamedTuple):
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(correct: int, of: int) -> Interval | None:
    """A share with Wilson's score interval, which holds for small numbers and for shares near 0 and 1, too.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference. Journal of the
    American Statistical Association 22:209-212 (1927).
    """
    if not of:
        return None
    share, spread = correct / of, Z * Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def mean(total: float, total_of_squares: float, of: int) -> Interval | None:
    """A mean with the interval that the central limit theorem gives; one value alone has none.

    Args:
        total: The sum of the values; `total_of_squares` that of their squares.
    """
    if of < 2:
        return None
    value = total / of
    variance = max(0.0, (total_of_squares - of * value * value) / (of - 1))
    half = Z * math.sqrt(variance / of)
    return Interval(value, value - half, value + half)
