"""Which windows count: those that do not overlap, and for what labels say, those whose labels are there."""

from collections.abc import Iterable, Sequence
from statistics import median

from tasks.contracts import TargetSummary

SETTLED = 14
"""After so many later windows, no more labels are waited for."""
ENOUGH = 0.8
"""Of the share of its predictions that a window usually gets labels for in the end."""
DAYS_A_YEAR = 365.0


def in_order(history: Iterable[TargetSummary]) -> tuple[TargetSummary, ...]:
    """By time of prediction; of windows that overlap the one that begins first."""
    kept: list[TargetSummary] = []
    for each in sorted(history, key=lambda one: (one.window_start, one.window_end)):
        if not kept or each.window_start >= kept[-1].window_end:
            kept.append(each)
    return tuple(kept)


def with_labels(windows: Sequence[TargetSummary]) -> tuple[TargetSummary, ...]:
    """The windows whose labels are there, as far as labels come at all.

    How many come in the end is told by the windows that are old enough, or by the best one where none is.
    """
    shares = [each.every.labelled / max(each.every.rows, 1) for each in windows if each.every.rows]
    old = shares[: max(len(shares) - SETTLED, 0)]
    usual = median(old) if old else max(shares, default=0.0)
    return tuple(
        each
        for place, each in enumerate(windows)
        if each.every.labelled
        and (place < len(windows) - SETTLED or each.every.labelled >= ENOUGH * usual * each.every.rows)
    )


def windows_a_year(windows: Sequence[TargetSummary]) -> float:
    """How many windows a year has, by their usual length; of windows shorter than a day as if they were days,
    because one check looks at several of them.
    """
    if not windows:
        return DAYS_A_YEAR
    seconds = median((each.window_end - each.window_start).total_seconds() for each in windows)
    return min(DAYS_A_YEAR, DAYS_A_YEAR * 86_400 / max(seconds, 1.0))
