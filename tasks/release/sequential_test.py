"""Evidence on two versions that may be looked at as often as one likes, at any time.

Of values in [0, 1] with the mean p, the wealth of a player who bets on every other mean at once is
`M(p) = B(s + 1/2, n - s + 1/2) / B(1/2, 1/2) / (p^s (1 - p)^(n - s))`, for n values with the sum s: a mixture
of likelihood ratios, each of which expects at most 1 at every moment where p is the mean (of all
distributions in [0, 1] with one mean the Bernoulli has the largest exponential moments). So it exceeds c at
any time with a probability of at most 1/c. The wealths of two versions multiply; against "the difference is
at most so much" speaks the smallest product that any two such means leave. Only counts are needed, so that
every look can be replayed from the ledger.

The instances of a request depend on each other, so each has the weight 1/n: the request is one value in
[0, 1], the mean of theirs. Where only some of them have a label their weights come to less than 1, and by
Hoelder's inequality the product of such powers of likelihood ratios still expects at most 1.

Sources: Robbins, Ann. Math. Stat. 41:1397 (1970), for the mixture; Ville (1939), for the bound at any time;
Waudby-Smith and Ramdas, J. R. Stat. Soc. B 86:1 (2024), for bets on means in [0, 1]; Wasserman, Ramdas and
Balakrishnan, PNAS 117:16880 (2020), for the smallest over a composite hypothesis; Hoeffding (1963), for the
Bernoulli's moments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log

SHAPE = 0.5
"""Of the mixture: Jeffreys' prior, which loses least where the mean is near 0 or 1."""
NEAREST = 1e-12
HALVINGS = 40
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Values:
    """So many values in [0, 1] with their sum; `rows` need not be whole where values have weights."""

    rows: float
    total: float

    @property
    def mean(self) -> float | None:
        return self.total / self.rows if self.rows else None


def log_above(one: Values, other: Values, margin: float) -> float:
    """The logarithm of the evidence against "the mean of `one` is above that of `other` by at most `margin`";
    margin in (-1, 1).
    """
    return _smallest(one, other, margin, lambda difference: difference <= margin)


def log_below(one: Values, other: Values, margin: float) -> float:
    """The logarithm of the evidence against "... by at least `margin`"."""
    return _smallest(one, other, margin, lambda difference: difference >= margin)


def log_under(seen: Values, least: float) -> float:
    """The logarithm of the evidence against "the mean is at least `least`"."""
    return _log_wealth(seen, max(least, seen.mean if seen.mean is not None else least))


def log_over(seen: Values, most: float) -> float:
    """The logarithm of the evidence against "the mean is at most `most`"."""
    return _log_wealth(seen, min(most, seen.mean if seen.mean is not None else most))


def _smallest(one: Values, other: Values, margin: float, is_null: Callable[[float], bool]) -> float:
    """The smallest product of wealths over the means of the hypothesis, which is convex in them: it lies at
    the means themselves where the hypothesis has them, else on its border.
    """
    if not one.rows or not other.rows:
        return 0.0
    first, second = one.total / one.rows, other.total / other.rows
    if is_null(first - second):
        return _log_wealth(one, first) + _log_wealth(other, second)
    low, high = max(0.0, -margin), min(1.0, 1.0 - margin)
    surprise = _least(lambda mean: _surprise(one, mean + margin) + _surprise(other, mean), low, high)
    return _mixed(one) + _mixed(other) + surprise


def _least(of: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a convex function, by golden sections."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = of(left), of(right)
    for _ in range(HALVINGS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = of(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = of(right)
    return min(at_left, at_right)


def _log_wealth(seen: Values, mean: float) -> float:
    return _mixed(seen) + _surprise(seen, mean)


def _mixed(seen: Values) -> float:
    """The logarithm of the mixture's likelihood of what was seen."""
    return _log_beta(seen.total + SHAPE, seen.rows - seen.total + SHAPE) - _log_beta(SHAPE, SHAPE)


def _surprise(seen: Values, mean: float) -> float:
    """Minus the logarithm of the likelihood of what was seen."""
    mean = min(max(mean, NEAREST), 1 - NEAREST)
    return -seen.total * log(mean) - (seen.rows - seen.total) * log(1 - mean)


def _log_beta(one: float, other: float) -> float:
    return lgamma(one) + lgamma(other) - lgamma(one + other)
