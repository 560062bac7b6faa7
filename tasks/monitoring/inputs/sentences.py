"""Say in words what was noticed about a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.contracts import ColumnScale, Reference, WindowProfile
from tasks.monitoring.inputs.statistics import Statistic

if TYPE_CHECKING:
    from tasks.monitoring.inputs.columns import Columns

UNITS = {"deviations": "standard deviations of the reference, by rank", "share": "share of the rows"}

NAMED = 3


def reason_of(statistic: Statistic) -> str:
    """The reason for programs; blank texts have one of their own."""
    blank = statistic.reason == "nulls" and ": " in statistic.column
    return "blank_texts" if blank else statistic.reason


def tell(
    found: Columns,
    scale: ColumnScale,
    order: list[int],
    reference: Reference,
    window: WindowProfile,
    unit: tuple[float, str] | None,
) -> str:
    """The sentence about a column: what it has, what is usual, and how much of it days differ.

    Args:
        order: The statistics that are off, the gravest first; all of one column and reason.
        unit: The factor of a change of unit, and between which units.
    """
    if unit is not None:
        return (
            f"{scale.column} has the reference's distribution multiplied by {unit[0]:.4g}, the ratio of "
            f"{unit[1]}: the unit seems to have changed where it comes from."
        )
    statistic = found.statistics[order[0]]
    if statistic.reason in {"location", "spread"}:
        return _of_number(found, scale, order[0], reference, window)
    return f"{scale.column}: " + "; ".join(_of_share(found, number) for number in order[:NAMED]) + "."


def _of_number(
    found: Columns, scale: ColumnScale, number: int, reference: Reference, window: WindowProfile
) -> str:
    size = float(found.effects.size[-1, number])
    if found.statistics[number].reason == "spread":
        more = "more" if size > 0 else "less"
        return f"{scale.column} is spread {abs(size):.0%} {more} than usual{_compared(found)}."
    side = "higher" if size > 0 else "lower"
    means = [_mean(profile, scale.column) for profile in (window, reference.whole)]
    moved = (means[0] - means[1]) / scale.deviation if scale.deviation else 0.0
    # The rank's size ends where the reference ends, and a mean may go by a single row: it is told if it can.
    by = f"{abs(moved):.2f} standard deviations" if moved * size > 0 else f"{abs(size):.2f} by rank"
    return (
        f"{scale.column} is {side} by {by} (mean {means[0]:.4g}, in the reference {means[1]:.4g})"
        f"{_compared(found)}."
    )


def _of_share(found: Columns, number: int) -> str:
    statistic, seen, usual = (
        found.statistics[number],
        float(found.effects.seen[-1, number]),
        float(found.effects.usual[-1, number]),
    )
    what = {
        "nulls": "blank" if ": " in statistic.column else "missing",
        "new_values": "values that the reference does not have",
    }.get(statistic.reason, f"{statistic.value}")
    return f"{seen:.1%} {what}, usually {usual:.1%}"


def _compared(found: Columns) -> str:
    return "" if found.calibrated else ", though nobody knows yet how much days differ"


def _mean(window: WindowProfile, name: str) -> float:
    profile = window.columns[name]
    return (profile.total or 0.0) / max(window.rows - profile.nulls, 1)
