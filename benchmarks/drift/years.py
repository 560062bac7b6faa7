"""Simulated years of traffic with natural variation: twelve columns, as counts on a fine grid.

Eight numbers, standard normal, and four categories of 20, 4, 2 and 200 values with Zipf's shares. Each day
each column has a level of its own: a weekly swing of 0.05 standard deviations and a day's noise of 0.03,
which is what natural data has and tests of equal distributions do not allow for. One number has 1 % nulls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.drift.rivals import Counted

Floats = NDArray[np.float64]

NUMBERS = 8
VALUES = (20, 4, 2, 200)
GRID = stats.norm.ppf(np.arange(1, 200) / 200)
"""The inner edges of 200 bins, of half a percent each."""

MIDDLES = np.concatenate([[GRID[0]], (GRID[1:] + GRID[:-1]) / 2, [GRID[-1]]])

SWING, NOISE, NULLS = 0.05, 0.03, 0.01
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Change:
    """What is planted, for each day; columns that are not named stay.

    Attributes:
        shifts: Of a number: by how many standard deviations its mean moves.
        shares: Of a category: which value gets which share of the rows.
        nulls: Of a number: the share of rows without a value.
    """

    shifts: Mapping[int, Floats] = field(default_factory=dict)
    shares: Mapping[int, tuple[int, Floats]] = field(default_factory=dict)
    nulls: Mapping[int, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Days:
    """Counts of days in a row.

    Attributes:
        numbers: days x numbers x bins.
        nulls: days x numbers.
        categories: For each category days x values.
        rows: Rows a day.
    """

    numbers: Floats
    nulls: Floats
    categories: tuple[Floats, ...]
    rows: int

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, days: slice) -> "Days":
        """Some of the days."""
        return Days(
            self.numbers[days], self.nulls[days], tuple(one[days] for one in self.categories), self.rows
        )

    def columns(self) -> list[Counted]:
        """Each column's counts."""
        numbers = [Counted(self.numbers[:, column], MIDDLES) for column in range(NUMBERS)]
        return numbers + [Counted(counts) for counts in self.categories]

    def spans(self, first: int = 0) -> list[tuple[datetime, datetime]]:
        """Each day's start and end."""
        return [
            (START + timedelta(days=first + day), START + timedelta(days=first + day + 1))
            for day in range(len(self))
        ]


def draw(days: int, rows: int, seed: int, change: Change | None = None, *, natural: bool = True) -> Days:
    """Days with so many rows each.

    Args:
        natural: Whether days differ by more than chance.
    """
    rng, planted = np.random.default_rng(seed), change or Change()
    weekly = SWING * np.sin(2 * np.pi * np.arange(days) / 7)[:, None]
    level = (weekly + NOISE * rng.normal(size=(days, NUMBERS + len(VALUES)))) * natural
    nulls = np.zeros((days, NUMBERS))
    numbers = np.zeros((days, NUMBERS, len(GRID) + 1))
    for column in range(NUMBERS):
        share = planted.nulls.get(column, np.full(days, NULLS if column == 0 else 0.0))
        nulls[:, column] = rng.binomial(rows, share)
        mean = level[:, column] + planted.shifts.get(column, np.zeros(days))
        below = stats.norm.cdf(GRID[None, :] - mean[:, None])
        shares = np.diff(np.hstack([np.zeros((days, 1)), below, np.ones((days, 1))]), axis=1)
        for day in range(days):
            numbers[day, column] = rng.multinomial(rows - int(nulls[day, column]), shares[day])
    categories = tuple(
        _category(rng, number, level[:, NUMBERS + number], rows, planted) for number in range(len(VALUES))
    )
    return Days(numbers, nulls, categories, rows)


def shares_of(values: int) -> Floats:
    """Zipf's shares."""
    weights = 1 / np.arange(1, values + 1)
    return np.asarray(weights / weights.sum())


def _category(rng: np.random.Generator, number: int, level: Floats, rows: int, planted: Change) -> Floats:
    values = VALUES[number]
    tilted = shares_of(values) * np.exp(level[:, None] * np.linspace(-1, 1, values))
    tilted /= tilted.sum(axis=1, keepdims=True)
    if number in planted.shares:
        value, share = planted.shares[number]
        tilted *= ((1 - share) / (1 - tilted[:, value]))[:, None]
        tilted[:, value] = share
    return np.array([rng.multinomial(rows, one) for one in tilted], dtype=float)
