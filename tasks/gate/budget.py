"""How much of the year's rate of false promotions one comparison with the champion may cost.

A rate of 0.05 a year means: in any 365 days, the levels of all tests add up to at most 0.05, so that the
probability that at least one candidate is promoted which is no better than its champion is at most that,
however many there are, whether they were judged on the same rows or on others, and whoever asked for them.
The rate accrues with time, so that twenty trainings in a day share that day's part. A quarter of it is a
reserve that is full before the first comparison and at most full afterwards; each comparison spends half of
what is there. That finds a better candidate almost as soon as a fixed level for a known number of tests
would, and needs no such number (`benchmarks/gate_quality.py`).

Sources: error spending over time, Lan and DeMets, Biometrika 70:659 (1983); the sum over all tests bounds the
probability under any dependence between them (Bonferroni).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tasks.contracts import Look

YEAR = timedelta(days=365)
RESERVE = 0.25
SPENT = 0.5


def last_of(looks: Sequence[Look]) -> Look | None:
    """The one that was allotted last: of several at the same time, after which least is left.

    Entries of the ledger do not say it by their order, since one that was judged again names its first look.
    """
    return max(looks, key=lambda look: (look.at, -look.available), default=None)


def allot(rate: float, last: Look | None, at: datetime) -> Look:
    """The level of a comparison at `at`, after the `last` one of the model.

    Args:
        rate: The declared probability of a false promotion in a year, in (0, 1).
        last: The newest comparison before; None before the first.
    """
    full = rate * RESERVE
    available = full
    if last is not None:
        at = max(at, last.at)  # a clock that went back gives the same time twice
        accrued = rate * (1 - RESERVE) * ((at - last.at) / YEAR)
        available = min(full, last.available - last.alpha + accrued)
    return Look(at=at, rate=rate, available=available, alpha=available * SPENT)
