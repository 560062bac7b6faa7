"""How the rows of a reference and of a window are distributed over a column's values, as shares.

Pure functions of profiles on the same scale, so that two of them are enough: days only add the band of what
is usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import ColumnProfile, ColumnScale, WindowProfile
from tasks.monitoring.page.words import number, short

Floats = NDArray[np.float64]

DAYS_FOR_BAND = 8
"""Of fewer days nobody can say what nine of ten have."""

QUANTILES = (0.05, 0.95)
MOST_VALUES = 8


@dataclass(frozen=True)
class Pair:
    """A share then and now, in [0, 1].

    Attributes:
        label: Of what.
        then, now: In the reference and in the window; NaN without rows.
        low, high: What nine of ten days of the reference lie within; None where there are too few of them.
    """

    label: str
    then: float
    now: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Shares:
    """One column then and now.

    Attributes:
        column, kind: Which, and how it is compared.
        values: The share of each range of a number, or of each of a category's values, of the rows with a
            value.
        places: Of a number whose ranges can be drawn to scale: where they begin and end; else empty.
        others: Of a category: the share of all known values that are not among `values`.
        nulls: The share of all rows without a value.
        new: The share of the rows with a value that the reference does not have; of a number: outside of its
            range.
        means: Of a number, then and now.
    """

    column: str
    kind: str
    values: tuple[Pair, ...]
    places: tuple[float, ...]
    others: Pair | None
    nulls: Pair
    new: Pair | None
    means: tuple[float, float] | None


def shares_of(
    scale: ColumnScale, then: WindowProfile, now: WindowProfile, days: Sequence[WindowProfile] = ()
) -> Shares:
    """A column then and now.

    Args:
        then, now: Profiles on the column's scale.
        days: Those of the reference's days; none where it has none.
    """
    name = scale.column
    before, after = then.columns[name], now.columns[name]
    sides = [(then, before), (now, after), *((day, day.columns[name]) for day in days if name in day.columns)]
    nulls = [_part(own.nulls, window.rows) for window, own in sides]
    new = [_part(own.new, window.rows - own.nulls) for window, own in sides]
    return Shares(
        column=name,
        kind=scale.kind,
        values=VALUES[scale.kind](scale, sides),
        others=_others(scale, sides) if scale.kind == "category" else None,
        places=_places(scale) if scale.kind == "number" else (),
        nulls=_pair("Missing", nulls),
        new=None
        if scale.kind == "time"
        else _pair("New values" if scale.kind == "category" else OUTSIDE, new),
        means=_means(sides) if scale.kind == "number" else None,
    )


OUTSIDE = "Outside of the reference's range"

Sides = Sequence[tuple[WindowProfile, ColumnProfile]]


def _ranges(scale: ColumnScale, sides: Sides) -> tuple[Pair, ...]:
    return tuple(_counted(label, place, sides) for place, label in enumerate(_labels(scale)))


def _frequent(scale: ColumnScale, sides: Sides) -> tuple[Pair, ...]:
    return tuple(_counted(short(scale.values[place]), place, sides) for place in _shown(sides))


def _none(_scale: ColumnScale, _sides: Sides) -> tuple[Pair, ...]:
    return ()


VALUES = {"number": _ranges, "category": _frequent, "time": _none}


def _counted(label: str, place: int, sides: Sides) -> Pair:
    return _pair(label, [_part(own.counts[place], window.rows - own.nulls) for window, own in sides])


def _others(scale: ColumnScale, sides: Sides) -> Pair | None:
    shown = _shown(sides)
    if len(shown) == scale.known:
        return None
    left = [
        window.rows - own.nulls - own.new - sum(own.counts[place] for place in shown) for window, own in sides
    ]
    return _pair(
        "All others",
        [
            _part(max(rest, 0), window.rows - own.nulls)
            for rest, (window, own) in zip(left, sides, strict=True)
        ],
    )


def _shown(sides: Sides) -> list[int]:
    """The values that matter the most: half of them by their frequency, half by their change."""
    then, now = (
        np.array(own.counts, dtype=float) / max(window.rows - own.nulls, 1) for window, own in sides[:2]
    )
    frequent = np.argsort(-then, kind="stable")[: MOST_VALUES // 2]
    changed = [place for place in np.argsort(-np.abs(now - then), kind="stable") if place not in frequent]
    picked = [*frequent, *changed[: MOST_VALUES - len(frequent)]]
    return [
        int(place) for place in sorted(picked, key=lambda place: -then[place]) if then[place] + now[place] > 0
    ]


def _labels(scale: ColumnScale) -> list[str]:
    """The names of a number's ranges."""
    if discrete(scale):
        return [*map(number, scale.edges), f"{number(scale.maximum)} or more"]
    edges = [number(edge) for edge in scale.edges]
    if not edges:
        return ["all values"]
    return [
        f"up to {edges[0]}",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"above {edges[-1]}",
    ]


def discrete(scale: ColumnScale) -> bool:
    """Whether each value of a number has a range of its own."""
    return scale.kind == "number" and 0 < scale.known <= len(scale.edges) + 1


WIDEST = 0.5
PEAK = 4.0


def _places(scale: ColumnScale) -> tuple[float, ...]:
    """Where a number's ranges begin and end, the outer ones cut off where they are far longer than the rest;
    empty where they cannot be drawn to scale, since one of them would hide all others.
    """
    if discrete(scale) or len(scale.edges) < 3 or scale.minimum is None or scale.maximum is None:
        return ()
    first, last = scale.edges[0], scale.edges[-1]
    room = WIDEST * (last - first)
    low, high = max(scale.minimum, first - room), min(scale.maximum, last + room)
    places = (low, *scale.edges, high)
    widths = np.diff(places)
    if not np.isfinite(widths).all() or not (widths > 0).all() or np.median(widths) / widths.min() > PEAK:
        return ()
    return tuple(float(place) for place in places)


def _pair(label: str, shares: Sequence[float]) -> Pair:
    """Then, now, and what the days have."""
    days = np.array(shares[2:], dtype=float)
    days = days[np.isfinite(days)]
    low, high = np.quantile(days, QUANTILES) if len(days) >= DAYS_FOR_BAND else (None, None)
    return Pair(
        label,
        shares[0],
        shares[1],
        None if low is None else float(low),
        None if high is None else float(high),
    )


def _part(some: float, rows: float) -> float:
    return float(some) / rows if rows > 0 else float("nan")


def _means(sides: Sides) -> tuple[float, float] | None:
    then, now = (_part(own.total or 0.0, window.rows - own.nulls) for window, own in sides[:2])
    return then, now
