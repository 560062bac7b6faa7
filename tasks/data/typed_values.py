"""Give landed values the types that their table declares, and mark those that cannot have them.

A value is never bent: `1.5` is no whole number, `yes` no truth value, `2026-02-30` no date.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.quick_values import EXACT_FLOAT, read_quickly
from tasks.data.strict_json import WrittenNumber
from tasks.spec import ColumnType
from tasks.stores.lake import ARROW_TYPES, arrow_schema
from tasks.stores.lake_sql import new_session, quote

Mask = np.ndarray[Any, np.dtype[np.bool_]]

TYPES_HOLD = "values_have_the_columns_types"

WHOLE = "[+-]?[0-9]+([.]0*)?"
NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
ZONE = "Z|UTC|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?"
CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6}0*)?)?"
TIME = f"{DAY}([ T]{CLOCK}( ?({ZONE}))?)?"

FIRST_SECOND = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
"""Times are of the years that every reader of them can hold."""


@dataclass(frozen=True)
class TypedRows:
    """Rows of their table's types; `broken[column]` marks
    values that were not of it (they are null in `rows`).
    """

    rows: pa.Table
    broken: dict[str, Mask]

    @property
    def broken_rows(self) -> Mask:
        return np.asarray(np.logical_or.reduce(list(self.broken.values())), dtype=np.bool_)

    def take(self, positions: "np.ndarray[Any, np.dtype[np.int64]]") -> "TypedRows":
        """The rows at some positions."""
        broken = {name: mask[positions] for name, mask in self.broken.items()}
        return TypedRows(self.rows.take(pa.array(positions)), broken)


def from_text(rows: pa.Table, columns: Mapping[str, ColumnType]) -> TypedRows:
    """Read values from text; null stays null, and so does blank text in a column of another type."""
    texts = {name: rows.column(name).combine_chunks() for name in columns}
    typed = {
        name: texts[name] if kind == "string" else read_quickly(texts[name], kind)
        for name, kind in columns.items()
    }
    whole = np.zeros(len(rows), dtype=np.bool_)
    broken = dict.fromkeys(columns, whole)
    slow = {name: kind for name, kind in columns.items() if typed[name] is None}
    if slow:
        read = _read(pa.table({name: texts[name] for name in slow}), slow)
        for name, kind in slow.items():
            typed[name] = read.column(name)
            broken[name] = _with_a_value(texts[name], kind) & _null(read.column(name))
    return TypedRows(pa.table(typed, schema=arrow_schema(columns)), broken)


def _read(texts: pa.Table, columns: Mapping[str, ColumnType]) -> pa.Table:
    """The values of any text, null where it is not of its type."""
    selected = ", ".join(f"{_expression(name, kind)} AS {quote(name)}" for name, kind in columns.items())
    with new_session() as session:
        session.register("texts", texts)
        return session.sql(f"SELECT {selected} FROM texts").to_arrow_table().cast(arrow_schema(columns))  # noqa: S608


def from_python(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, ColumnType]) -> TypedRows:
    """Read values that JSON gave; a key that is left out is null, and a time or a date is text."""
    typed, broken, texts = {}, {}, {}
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        fits = [value is None or _fits(value, kind) for value in values]
        plain = [_plain(value, kind) if fit else None for value, fit in zip(values, fits, strict=True)]
        broken[name] = ~np.array(fits, dtype=np.bool_)
        if kind in {"timestamp", "date"}:
            texts[name] = pa.array(plain, pa.string())
        else:
            typed[name] = pa.array(plain, ARROW_TYPES[kind])
    if texts:
        read = from_text(pa.table(texts), {name: columns[name] for name in texts})
        for name in texts:
            typed[name] = read.rows.column(name)
            broken[name] |= read.broken[name]
    return TypedRows(pa.table({name: typed[name] for name in columns}, schema=arrow_schema(columns)), broken)


def _fits(value: Any, kind: ColumnType) -> bool:
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if isinstance(value, int | float):
        return _number_fits(value, kind)
    return kind not in {"int64", "float64"} and isinstance(value, str)


def _number_fits(value: int | float, kind: ColumnType) -> bool:
    """Whether a number is one of `kind`, and is the one that the JSON text said."""
    if kind == "int64":
        whole = _whole(value)
        return whole is not None and -(2**63) <= whole < 2**63
    if kind != "float64" or not abs(value) <= sys.float_info.max:
        return False
    return int(float(value)) == value if isinstance(value, int) else not _is_rounded(value)


def _whole(value: int | float) -> int | None:
    """The whole number that a value is; None for another one."""
    if isinstance(value, int | WrittenNumber):
        return value if isinstance(value, int) else value.whole
    # From the end of the exact numbers on, a float may have been another number in the text.
    return int(value) if value % 1 == 0 and abs(value) < EXACT_FLOAT else None


def _is_rounded(value: float) -> bool:
    return isinstance(value, WrittenNumber) and value.is_rounded


def _plain(value: Any, kind: ColumnType) -> Any:
    if value is None or kind not in {"int64", "float64"}:
        return value
    return _whole(value) if kind == "int64" else float(value)


def _expression(name: str, kind: ColumnType) -> str:
    """A DuckDB expression that is null for a text that is not of the type."""
    return READERS[kind](f"trim({quote(name)})")


def _int64(value: str) -> str:
    number = f"TRY_CAST(regexp_replace({value}, '[.]0*$', '') AS BIGINT)"
    return f"CASE WHEN regexp_full_match({value}, '{WHOLE}') THEN {number} END"


def _float64(value: str) -> str:
    """A whole number is one that the type holds exactly, however long its text is."""
    number, whole = f"TRY_CAST({value} AS DOUBLE)", f"regexp_full_match({value}, '{WHOLE}')"
    same = f"TRY_CAST({value} AS HUGEINT) IS NOT DISTINCT FROM TRY_CAST({number} AS HUGEINT)"
    return (
        f"CASE WHEN regexp_full_match({value}, '{NUMBER}') AND isfinite({number}) "
        f"AND (length({value}) < 16 OR NOT {whole} OR {same}) THEN {number} END"
    )


def _bool(value: str) -> str:
    true, false = (f"lower({value}) IN {words}" for words in (("true", "1"), ("false", "0")))
    return f"CASE WHEN {true} THEN true WHEN {false} THEN false END"


def _timestamp(value: str) -> str:
    """Without an offset it is UTC."""
    whole = f"CASE WHEN length({value}) = 10 THEN {value} || ' 00:00:00' ELSE {value} END"
    for written, read in (
        ("UTC", "Z"),
        (" Z", "Z"),
        (" +", "+"),
        (" -", "-"),
    ):  # DuckDB takes one form of each
        whole = f"replace({whole}, '{written}', '{read}')"
    time, last = f"TRY_CAST({whole} AS TIMESTAMPTZ)", (LAST_SECOND + 1) * 10**6 - 1
    held = f"epoch_us({time}) BETWEEN {FIRST_SECOND * 10**6} AND {last}"
    return f"CASE WHEN regexp_full_match({value}, '{TIME}') AND {held} THEN {time} END"


def _date(value: str) -> str:
    day = f"TRY_CAST({value} AS DATE)"
    return f"CASE WHEN regexp_full_match({value}, '{DAY}') AND {value} >= '0001' THEN {day} END"


READERS: dict[ColumnType, Callable[[str], str]] = {
    "int64": _int64,
    "float64": _float64,
    "bool": _bool,
    "timestamp": _timestamp,
    "date": _date,
}


def _with_a_value(texts: pa.Array, kind: ColumnType) -> Mask:
    given = pc.is_valid(texts)
    if kind != "string":
        not_blank = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
        given = pc.and_(given, pc.fill_null(not_blank, False))  # noqa: FBT003
    return np.asarray(given, dtype=np.bool_)


def _null(column: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.is_null(column), dtype=np.bool_)
