"""Expectations that are declared in the plain forms which most suites consist of.

To make them tells no more than their declaration, but importing Great Expectations takes longer than judging
most files. What is accepted here it accepts too, as tests/unit/data/test_plain_expectations.py shows; it is
asked about everything else.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

SEVERITIES = ("critical", "warning", "info")


def judges_rows(kind: str, arguments: Mapping[str, Any], severity: object) -> bool | None:
    """Whether a plain expectation says of each row if it is met; None for one that is not plain."""
    if kind not in FORMS or severity not in SEVERITIES:
        return None
    if kind == WHOLE_TABLE:
        return False if FORMS[kind](arguments) else None
    own = {name: value for name, value in arguments.items() if name not in {"column", "mostly"}}
    plain = _is_name(arguments.get("column")) and _is_share(arguments.get("mostly", 1)) and FORMS[kind](own)
    return True if plain else None


def fault_of_regex(regex: Any) -> str | None:
    """Why a value is no regular expression of Python's `re`; None for one that is."""
    if not isinstance(regex, str):
        return "it is no text"
    try:
        re.compile(regex)
    except RecursionError:
        return "it is nested too deep"
    except (re.error, OverflowError) as error:
        return str(error)
    return None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_time(value: Any) -> bool:
    """Whether it is a time with its zone, as a suite writes it."""
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _bounds(arguments: Mapping[str, Any]) -> bool:
    strict = [arguments.get(name, False) for name in ("strict_min", "strict_max")]
    bounds = [arguments[name] for name in ("min_value", "max_value") if arguments.get(name) is not None]
    if set(arguments) - {"min_value", "max_value", "strict_min", "strict_max"} or not bounds:
        return False
    if not all(isinstance(value, bool) for value in strict):
        return False
    if all(_is_number(value) for value in bounds):
        return bounds == sorted(bounds)
    return all(_is_time(value) for value in bounds) and bounds == sorted(bounds, key=datetime.fromisoformat)


def _lengths(arguments: Mapping[str, Any]) -> bool:
    bounds = [arguments.get(name) for name in ("min_value", "max_value")]
    return _bounds(arguments) and all(value is None or type(value) is int for value in bounds)


def _listed(arguments: Mapping[str, Any]) -> bool:
    values = arguments.get("value_set")
    if set(arguments) != {"value_set"} or not isinstance(values, list) or not values:
        return False
    return {type(value) for value in values} in ({int}, {str})


def _pattern(arguments: Mapping[str, Any]) -> bool:
    return set(arguments) == {"regex"} and fault_of_regex(arguments["regex"]) is None


def _columns(arguments: Mapping[str, Any]) -> bool:
    names = arguments.get("column_set")
    if set(arguments) - {"column_set", "exact_match"} or not isinstance(names, list) or not names:
        return False
    return all(map(_is_name, names)) and isinstance(arguments.get("exact_match", True), bool)


WHOLE_TABLE = "expect_table_columns_to_match_set"
FORMS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "expect_column_values_to_not_be_null": lambda arguments: not arguments,
    "expect_column_values_to_be_between": _bounds,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_values_to_be_in_set": _listed,
    "expect_column_values_to_match_regex": _pattern,
    WHOLE_TABLE: _columns,
}
