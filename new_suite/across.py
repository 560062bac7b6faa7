"""Find what holds between two columns in every row of a sample, and would not hold by chance."""

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pyarrow as pa

from new_suite.expectation import Proposed, tolerant
from new_suite.slack import bad_share, mostly
from tasks.spec.base import ColumnType

EVIDENCE = 100
CHANCE = 0.10
"""A fact is proposed where it holds in at least `EVIDENCE` rows, and where this share of them would break it
if one of the columns were taken from other rows. By chance, no pair of columns in 30,000 gets that far.
"""

NULLS = 10
"""Two columns lack their values together where they do so in at least this many rows."""

FIRST_LOOK = 1000
"""Most pairs are ruled out by this many rows."""

COMPARABLE: dict[ColumnType, str] = {
    "int64": "numbers",
    "float64": "numbers",
    "timestamp": "timestamps",
    "date": "dates",
}

Values = np.ndarray[Any, np.dtype[np.float64]]


def between_columns(columns: Mapping[str, ColumnType], rows: pa.Table, key: str | None) -> Iterator[Proposed]:
    """The facts between columns of one kind; a key is compared with nothing."""
    for kind in dict.fromkeys(COMPARABLE.values()):
        names = [name for name in columns if COMPARABLE.get(columns[name]) == kind and name != key]
        yield from _comparisons({name: _as_numbers(rows.column(name)) for name in names})
    yield from _missing_together({name: rows.column(name) for name in columns})


def _as_numbers(column: pa.ChunkedArray) -> Values:
    """The values as numbers in their order, NaN where there is none."""
    values = column.combine_chunks()
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _comparisons(values: Mapping[str, Values]) -> Iterator[Proposed]:
    equal = [pair for pair in combinations(values, 2) if _holds(np.equal, *_pair(values, pair))]
    same = {second for _, second in equal}
    names = [name for name in values if name not in same]
    ordered = {pair for pair in permutations(names, 2) if _holds(np.less_equal, *_pair(values, pair))} - set(
        equal
    )
    for first, second in equal:
        yield _propose("to_be_equal", {}, first, second, values, f"{first} equals {second}")
    for low, high in sorted(ordered, key=lambda pair: (names.index(pair[0]), names.index(pair[1]))):
        if not any((low, other) in ordered and (other, high) in ordered for other in names):
            yield _propose(
                "a_to_be_greater_than_b",
                {"or_equal": True},
                high,
                low,
                values,
                f"{low} is never above {high}",
            )


def _pair(values: Mapping[str, Values], pair: tuple[str, str]) -> tuple[Values, Values]:
    return values[pair[0]], values[pair[1]]


def _holds(compare: np.ufunc, first: Values, second: Values) -> bool:
    """Whether it holds in every row with both values, and would not if the rows of one were moved by half."""
    look = slice(FIRST_LOOK)
    if not _in_all(compare, first[look], second[look]):
        return False
    both = ~(np.isnan(first) | np.isnan(second))
    left, right = first[both], second[both]
    if len(left) < EVIDENCE or not compare(left, right).all():
        return False
    return bool((~compare(left, np.roll(right, len(right) // 2))).mean() >= CHANCE)


def _in_all(compare: np.ufunc, first: Values, second: Values) -> bool:
    return bool((compare(first, second) | np.isnan(first) | np.isnan(second)).all())


def _propose(
    kind: str, arguments: dict[str, Any], first: str, second: str, values: Mapping[str, Values], why: str
) -> Proposed:
    both = ~(np.isnan(values[first]) | np.isnan(values[second]))
    named = {"column_A": first, "column_B": second, "ignore_row_if": "either_value_is_missing"}
    return tolerant(
        f"expect_column_pair_values_{kind}", {**named, **arguments}, 0, int(both.sum()), f"{why}."
    )


def _missing_together(columns: Mapping[str, pa.ChunkedArray]) -> Iterator[Proposed]:
    """Columns of which each row has all values or none: each is held against the first of them."""
    together: dict[bytes, list[str]] = {}
    for name, column in columns.items():
        few = min(column.null_count, len(column) - column.null_count)
        if few >= NULLS and "`" not in name:
            mask = np.asarray(column.is_null(), dtype=np.bool_)
            together.setdefault(np.packbits(mask).tobytes(), []).append(name)
    for first, *others in together.values():
        missing = columns[first].null_count
        there = len(columns[first]) - missing
        for other in others:
            yield _if(first, "notnull", "not_be_null", other, there)
            yield _if(first, "isnull", "be_null", other, missing)


def _if(first: str, state: str, expected: str, other: str, count: int) -> Proposed:
    """What has to be of `other` in the rows in which `first` is there, or is not."""
    return Proposed(
        f"expect_column_values_to_{expected}",
        {
            "column": other,
            "row_condition": f"`{first}`.{state}()",
            "condition_parser": "pandas",
            "mostly": mostly(bad_share(0, count)),
        },
        f"{first} and {other} are there together or not at all: so in {count:,} rows.",
    )
