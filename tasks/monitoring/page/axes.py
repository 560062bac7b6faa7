"""Axes of a drawing: where a value is placed, and which values are named."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

TICKS = 4
MOST_POWERS = 6
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LEAST, MOST = -1e300, 1e300
"""What is further out is drawn here, so that no difference of two numbers overflows."""


@dataclass(frozen=True)
class Axis:
    """An axis from `low` at the place `start` to `high` at `end`; a logarithmic one starts above 0."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value is drawn; one beyond an end at that end."""
        low, high, own = (self._scaled(each) for each in (self.low, self.high, value))
        share = (own - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)

    def ticks(self) -> tuple[float, ...]:
        """Round values on the axis: powers of ten on a logarithmic one."""
        return _powers(self.low, self.high) if self.logarithmic else _round(self.low, self.high)

    def _scaled(self, value: float) -> float:
        if not self.logarithmic:
            return min(max(value, LEAST), MOST) / 2
        return math.log10(min(max(value, self.low), MOST))


def around(values: Sequence[float], start: float, end: float, *, with_zero: bool = False) -> Axis:
    """A linear axis that holds every number among the values, with a little room."""
    kept = [min(max(value, LEAST), MOST) for value in values if math.isfinite(value)] or [0.0]
    low, high = min([*kept, 0.0] if with_zero else kept), max([*kept, 0.0] if with_zero else kept)
    room = (high / 2 - low / 2) * 0.12 or abs(high) * 0.05 or 0.5
    floor = low if with_zero and low == 0 else low - room
    return Axis(floor, high + room, start, end)


def _round(low: float, high: float) -> tuple[float, ...]:
    raw = (high / TICKS) - (low / TICKS)
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next((power * each for each in STEPS if power * each >= raw), raw)
    first = math.ceil(low / step)
    found = [(first + number) * step for number in range(TICKS + 2)]
    return tuple(float(value) for value in found if value <= high and math.isfinite(value))


def _powers(low: float, high: float) -> tuple[float, ...]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / MOST_POWERS))
    return tuple(10.0**power for power in range(first, last + 1, step))


def time_ticks(times: Sequence[datetime], most: int = 5) -> tuple[tuple[datetime, str], ...]:
    """Some of the times, in words: with the hour where several are of one day, with the year where they span
    several.
    """
    ordered = sorted(set(times))
    picked = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
    return tuple((ordered[number], tell_time(ordered[number], ordered)) for number in picked)


def tell_time(time: datetime, among: Sequence[datetime]) -> str:
    """A time in as few words as tell it from the others."""
    told = f"{time.day} {time:%b}"
    close = len(among) > 1 and min(
        (after - before for before, after in pairwise(among)), default=timedelta(1)
    ) < timedelta(days=1)
    if close:
        return f"{told} {time:%H:%M}"
    return f"{told} {time.year}" if among[0].year != among[-1].year else told
