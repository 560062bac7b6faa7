"""What of the columns' distributions is kept with a check's decision: shares in few ranges, of few columns.

The profiles in the lake have all of it. This is for the pages, which read the ledger alone; it is bounded,
since an entry of the ledger is for ever.
"""

import math
from collections.abc import Sequence

from tasks.contracts import ColumnShares, Reference, Signal, WindowProfile
from tasks.monitoring.page.shares import Pair, Shares, shares_of
from tasks.monitoring.page.words import short

MOST_COLUMNS = 12
LETTERS = 40
DIGITS = 4
LEVELS = ("incident", "alarm", "suspicious", "note")


def distributions_of(
    reference: Reference, now: WindowProfile, signals: Sequence[Signal]
) -> tuple[ColumnShares, ...]:
    """The columns then and now: first those that something was noticed about, the gravest first, then those
    that have changed the most.

    Args:
        now: The window that is judged, on the reference's scales.
    """
    if not now.rows or not reference.whole.rows:
        return ()
    scales = [each for each in reference.scales if each.kind != "time" and each.column in now.columns]
    found = [shares_of(scale, reference.whole, now) for scale in scales]
    ordered = sorted(found, key=lambda each: (_rank(each.column, signals), -_changed(each)))
    return tuple(_kept(each, reference.whole, now) for each in ordered[:MOST_COLUMNS])


def _rank(column: str, signals: Sequence[Signal]) -> int:
    levels = [LEVELS.index(each.level) for each in signals if each.subject == column]
    return min(levels, default=len(LEVELS))


def _changed(shares: Shares) -> float:
    """Half of the sum of all differences: 0 where nothing has changed, at most 1."""
    pairs = [each for each in (*shares.values, shares.others, shares.new, shares.nulls) if each is not None]
    return sum(abs(_known(each.now) - _known(each.then)) for each in pairs) / 2


def _kept(shares: Shares, then: WindowProfile, now: WindowProfile) -> ColumnShares:
    return ColumnShares.model_validate(
        {
            "column": shares.column,
            "kind": shares.kind,
            "labels": tuple(short(pair.label, LETTERS) for pair in shares.values),
            "shares": tuple(_pair(pair) for pair in shares.values),
            "places": shares.places,
            "others": _pair(shares.others),
            "new": _pair(shares.new),
            "missing": _pair(shares.nulls),
            "rows": (then.rows, now.rows),
        }
    )


def _pair(pair: Pair | None) -> tuple[float, float] | None:
    return None if pair is None else (round(_known(pair.then), DIGITS), round(_known(pair.now), DIGITS))


def _known(share: float) -> float:
    """Of no rows with a value there is none in any range."""
    return share if math.isfinite(share) else 0.0
