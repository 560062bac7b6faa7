"""Axes of a drawing: where a value is placed, and which values are named."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
LEAST_ROOM = 1e-6
LARGEST = 1e300
"""What is larger is drawn here: between the largest numbers there is more than a number can say."""
TICKS = 4


@dataclass(frozen=True)
class Axis:
    """An axis from `low` at the place `start` to `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value is drawn; one beyond an end at that end."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis that holds every value, with a little room."""
    low, high = (min(max(end, -LARGEST), LARGEST) for end in (min(values), max(values)))
    room = (high - low) * 0.1 or abs(high) * 0.05 or 0.5
    # Values that differ by less than is told of them have no round values between them.
    room = max(room, LEAST_ROOM * max(1e-3, abs(low), abs(high)))
    return low - room, high + room


def path_of(places: Sequence[tuple[float, float]]) -> str:
    """An SVG path through places."""
    return "".join(f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(places))


def round_values(low: float, high: float, most: int = TICKS) -> list[float]:
    """Round values between two, about `most` of them."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * each for each in STEPS if power * each >= raw * 0.999)
    first = math.ceil(low / step)
    return [value for number in range(most + 2) if (value := round((first + number) * step, 12)) <= high]
