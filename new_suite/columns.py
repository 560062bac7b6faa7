"""Propose what a column's values must be.

A rule is proposed only where the first half of the sample foretells the second: the months of a delivery from
spring say nothing of those of autumn.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from new_suite.expectation import Proposed, tolerant
from new_suite.slack import (
    RANGE_SHARE,
    STRAY_SHARE,
    YEARS,
    bad_share,
    mostly,
    null_share,
    upper_limit,
    widen,
)
from tasks.spec.base import ColumnType

CATEGORIES = 50
ROWS_A_CATEGORY = 20
"""A text column is one of categories if it has at most so many, and so many rows each on average."""

PATTERNS = {
    "a UUID": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "a year and a month": r"^[0-9]{4}-[0-9]{2}$",
    "a time of day": r"^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?$",
    "a date with slashes": r"^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?$",
    "a date with points": r"^[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?$",
    "an e-mail address": r"^[^@\s]+@[^@\s]+[.][^@\s]+$",
    "an address of the web": r"^https?://\S+$",
    "digits": r"^[0-9]+$",
    "hexadecimal digits": r"^[0-9a-f]{16,}$",
    "capital letters": r"^[A-Z]+$",
    "capital letters and digits": r"^[A-Z0-9]+$",
}
"""What a text may plainly be, the narrower first."""


class Rule(Protocol):
    """A rule that was learnt from values."""

    def broken(self, values: pa.Array) -> int:
        """How many of the values break it."""

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        """The expectation's type, its arguments but the column and `mostly`, and what speaks for it."""


def of_column(name: str, kind: ColumnType, column: pa.Array) -> Iterator[Proposed]:
    """The expectations on one column of the sample, of its type."""
    given = column.drop_null()
    if not len(given):
        return
    yield from _presence(name, column)
    for learn in LEARN[kind]:
        rule = learn(given)
        if rule is not None and _foretells(learn, given):
            expectation, arguments, why = rule.expectation()
            yield tolerant(expectation, {"column": name, **arguments}, rule.broken(given), len(given), why)
            if isinstance(rule, Categories):
                return


def nothing_said(kind: ColumnType, column: pa.Array) -> str | None:
    """Why there is no rule for the values of a column; None where there is one, or need not be one."""
    given = column.drop_null()
    rules = [learn(given) for learn in LEARN[kind]] if len(given) else []
    if not rules or any(
        rule and _foretells(learn, given) for rule, learn in zip(rules, LEARN[kind], strict=True)
    ):
        return None
    if any(rules):
        return "no rule is proposed, because the first half of its values does not foretell the second."
    return f"no rule is proposed, because the sample has only one value, {str(given[0].as_py())[:40]!r}."


def _presence(name: str, column: pa.Array) -> Iterator[Proposed]:
    """A row that lacks what no row lacked is bad; one that lacks what others lack too is not."""
    total = len(column)
    if not column.null_count:
        kind, why = "expect_column_values_to_not_be_null", f"No value is missing in {total:,} rows."
        yield Proposed(kind, {"column": name, "mostly": mostly(bad_share(0, total))}, why)
        return
    missing, rows = max(((half.null_count, len(half)) for half in _halves(column) if len(half)), key=_share)
    if null_share(missing, rows) < 1:
        yield Proposed(
            "expect_column_proportion_of_non_null_values_to_be_between",
            {"column": name, "min_value": mostly(null_share(missing, rows))},
            f"{column.null_count:,} of {total:,} values are missing; in the half with more, {missing:,} of "
            f"{rows:,}, which may well be {upper_limit(missing, rows):.1%}. Rows without one join the table.",
        )


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1]


def _halves(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    half = len(values) // 2
    return values[:half], values[half:]


def _foretells(learn: "Callable[[pa.Array], Rule | None]", values: pa.Array) -> bool:
    """Whether what the first half teaches holds for the second one, with the slack of a proposal."""
    first, second = _halves(values)
    rule = learn(first) if len(first) else None
    return rule is not None and rule.broken(second) <= bad_share(rule.broken(first), len(first)) * len(second)


@dataclass(frozen=True)
class Flag:
    """Nothing but 0 and 1."""

    def broken(self, values: pa.Array) -> int:
        return len(values) - int(pc.sum(pc.is_in(values, pa.array([0, 1]))).as_py() or 0)

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        return "expect_column_values_to_be_in_set", {"value_set": [0, 1]}, "Its values are 0 and 1."


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; the sample's own ends are `seen`."""

    low: float
    high: float
    seen: tuple[float, float]

    def broken(self, values: pa.Array) -> int:
        numbers = values.to_numpy(zero_copy_only=False)
        return int(((numbers < self.low) | (numbers > self.high)).sum())

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        seen = f"The sample goes from {self.seen[0]:g} to {self.seen[1]:g}; {RANGE_SHARE:.0%} of that width "
        return (
            "expect_column_values_to_be_between",
            {"min_value": self.low, "max_value": self.high},
            f"{seen}is added at either end{', but not below 0' if self.low == 0 else ''}.",
        )


@dataclass(frozen=True)
class Lengths:
    """Of so many characters, both included."""

    low: int
    high: int
    seen: tuple[int, int]

    def broken(self, values: pa.Array) -> int:
        lengths = pc.utf8_length(values).to_numpy(zero_copy_only=False)
        return int(((lengths < self.low) | (lengths > self.high)).sum())

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        return (
            "expect_column_value_lengths_to_be_between",
            {"min_value": self.low, "max_value": self.high},
            f"The sample's texts have {self.seen[0]} to {self.seen[1]} characters.",
        )


@dataclass(frozen=True)
class Years:
    """Within some years of the sample's; `date` has no time of day."""

    low: int
    high: int
    date: bool

    def broken(self, values: pa.Array) -> int:
        years = pc.year(values).to_numpy(zero_copy_only=False)
        return int(((years < self.low) | (years > self.high)).sum())

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        time = "" if self.date else "T00:00:00+00:00"
        limits = {"min_value": f"{self.low:04}-01-01{time}", "max_value": f"{self.high:04}-12-31{time}"}
        why = f"{YEARS} years before and after the sample's: for dates that stand for a missing one."
        return "expect_column_values_to_be_between", limits, why


@dataclass(frozen=True)
class Categories:
    """One of some texts."""

    values: tuple[str, ...]

    def broken(self, values: pa.Array) -> int:
        return len(values) - int(pc.sum(pc.is_in(values, pa.array(self.values))).as_py() or 0)

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        return (
            "expect_column_values_to_be_in_set",
            {"value_set": list(self.values)},
            f"The sample has {len(self.values)} different texts, and its second half hardly one that is new.",
        )


@dataclass(frozen=True)
class Pattern:
    """A text that is plainly something."""

    name: str
    regex: str

    def broken(self, values: pa.Array) -> int:
        return sum(not self.matches(text) for text in values.to_pylist())

    def matches(self, text: str) -> bool:
        """Whether a text is one by Python's `re`, as the suite's regular expression is meant."""
        return re.search(self.regex, text) is not None

    def expectation(self) -> tuple[str, dict[str, Any], str]:
        return "expect_column_values_to_match_regex", {"regex": self.regex}, f"Every text is {self.name}."


def learn_flag(values: pa.Array) -> Flag | None:
    return Flag() if set(pc.unique(values).to_pylist()) == {0, 1} else None


def learn_range(values: pa.Array) -> Range | None:
    """None for a single value: it is constant in this delivery, and nothing is known of the next; and for a
    flag, whose values are told one by one.
    """
    numbers = values.to_numpy(zero_copy_only=False)
    low, high = numbers.min().item(), numbers.max().item()
    if low == high or not np.isfinite(float(high) - float(low)) or learn_flag(values):
        return None
    lowest, highest = widen(low, high)
    if (numbers < 0).mean() < STRAY_SHARE:
        lowest = max(lowest, 0)
    if pa.types.is_integer(values.type):
        return Range(int(np.floor(lowest)), int(np.ceil(highest)), (low, high))
    return Range(float(lowest), float(highest), (low, high))


def learn_years(values: pa.Array) -> Years:
    years = pc.min_max(pc.year(values))
    low, high = years["min"].as_py(), years["max"].as_py()
    return Years(max(1, low - YEARS), min(9998, high + YEARS), pa.types.is_date(values.type))


def learn_categories(values: pa.Array) -> Categories | None:
    """None for a single text: of a category the sample shows at least two."""
    different = pc.unique(values)
    few = 2 <= len(different) <= min(CATEGORIES, len(values) // ROWS_A_CATEGORY)
    return Categories(tuple(sorted(different.to_pylist()))) if few else None


def learn_lengths(values: pa.Array) -> Lengths | None:
    """None for a single text, as of a range."""
    if len(pc.unique(values[:2])) < 2 and len(pc.unique(values)) < 2:
        return None
    found = pc.min_max(pc.utf8_length(values))
    low, high = found["min"].as_py(), found["max"].as_py()
    slack = RANGE_SHARE * (high - low)
    return Lengths(max(min(low, 1), int(low - slack)), int(np.ceil(high + slack)), (low, high))


def learn_pattern(values: pa.Array) -> Pattern | None:
    texts = pc.unique(values).to_pylist()
    if len(texts) < 2:
        return None
    found = (Pattern(name, regex) for name, regex in PATTERNS.items())
    return next((pattern for pattern in found if all(map(pattern.matches, texts))), None)


LEARN: dict[ColumnType, tuple[Callable[[pa.Array], Rule | None], ...]] = {
    "string": (learn_categories, learn_lengths, learn_pattern),
    "int64": (learn_flag, learn_range),
    "float64": (learn_range,),
    "bool": (),
    "timestamp": (learn_years,),
    "date": (learn_years,),
}
