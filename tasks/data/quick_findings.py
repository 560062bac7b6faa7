"""See at a glance that no row breaks an expectation, where that needs no more than a look at the extremes.

Great Expectations needs milliseconds for an expectation on a batch, whatever its size, and most batches break
none. Nothing else is found here than that all rows are well, as it would find; where that is not plain, it is
asked.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.findings import Finding
from tasks.data.plain_expectations import WHOLE_TABLE
from tasks.data.quick_values import EXACT_FLOAT
from tasks.data.suites import Expectation

BOUNDS = frozenset({"min_value", "max_value", "strict_min", "strict_max"})


def find_quickly(expectation: Expectation, rows: pa.Table) -> Finding | None:
    """The finding that no row breaks it; None where that is not plain."""
    if expectation.type == WHOLE_TABLE:
        return _as_declared(expectation.arguments, rows.column_names)
    arguments = {
        name: value for name, value in expectation.arguments.items() if name not in {"mostly", "column"}
    }
    name = expectation.arguments.get("column")
    if expectation.type not in CHECKS or name not in rows.column_names:
        return None
    column = rows.column(name)
    if _has_nan(column) or not CHECKS[expectation.type](column, arguments):
        return None
    return Finding(
        met=True,
        rows=len(column),
        judged=len(column) - column.null_count,
        unexpected=0,
        broken=np.empty(0, dtype=np.int64),
        samples=(),
        observed="",
    )


def _as_declared(arguments: Mapping[str, Any], names: list[str]) -> Finding | None:
    if set(arguments) != {"column_set"} or set(arguments["column_set"]) != set(names):
        return None
    observed = f"Observed: {sorted(names)}."
    return Finding(met=True, rows=0, judged=0, unexpected=0, broken=None, samples=(), observed=observed)


def _has_nan(column: pa.ChunkedArray) -> bool:
    """Whether there is a number that is none: to Great Expectations it is a null."""
    return bool(pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py())


def _no_null(column: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    return not arguments and column.null_count == 0


def _within_bounds(column: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    if pa.types.is_timestamp(column.type):
        return _within_times(column, arguments)
    number = pa.types.is_int64(column.type) or pa.types.is_float64(column.type)
    return number and _within(column, arguments)


def _within_times(times: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    """Strictly, and between bounds that name their zone: what others mean is left to who is asked."""
    bounds = [_time_of(arguments.get(name)) for name in ("min_value", "max_value")]
    if set(arguments) != {"min_value", "max_value"} or None in bounds or times.null_count == len(times):
        return False
    first, last = pc.min_max(times).as_py().values()
    return bool(bounds[0] < first and last < bounds[1])


def _time_of(written: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(written)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None


def _lengths(column: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    return bool(pa.types.is_string(column.type)) and _within(pc.utf8_length(column), arguments)


def _within(numbers: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    if set(arguments) - BOUNDS or numbers.null_count == len(numbers):
        return False
    first, last = pc.min_max(numbers).as_py().values()
    least, most = arguments.get("min_value"), arguments.get("max_value")
    if not all(_is_exact(number) for number in (first, last, least, most) if number is not None):
        return False
    above = least is None or (first > least if arguments.get("strict_min") else first >= least)
    below = most is None or (last < most if arguments.get("strict_max") else last <= most)
    return bool(above and below)


def _is_exact(number: Any) -> bool:
    """Whether a number is the same to everybody who compares it."""
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= EXACT_FLOAT


def _in_set(column: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    listed, kind = arguments.get("value_set"), {pa.int64(): int, pa.string(): str}.get(column.type)
    if set(arguments) != {"value_set"} or not isinstance(listed, list) or column.null_count == len(column):
        return False
    found = pc.unique(column.drop_null()).to_pylist()
    return all(type(value) is kind for value in listed) and set(found) <= set(listed)


def _matching(column: pa.ChunkedArray, arguments: Mapping[str, Any]) -> bool:
    """Each different value is matched once by Python's `re`, whose expressions a suite has."""
    if set(arguments) != {"regex"} or column.type != pa.string() or column.null_count == len(column):
        return False
    matches = re.compile(arguments["regex"]).search
    return all(matches(value) for value in pc.unique(column.drop_null()).to_pylist())


CHECKS: dict[str, Callable[[pa.ChunkedArray, Mapping[str, Any]], bool]] = {
    "expect_column_values_to_not_be_null": _no_null,
    "expect_column_values_to_be_between": _within_bounds,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_match_regex": _matching,
}
