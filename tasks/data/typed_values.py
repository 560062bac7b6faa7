"""Give landed values the types that their table declares, and mark those that cannot have them.

A value is never bent: `1.5` is no whole number, `yes` no truth value, `2026-02-30` no date.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DataRejected
from tasks.spec import ColumnType
from tasks.stores.lake import ARROW_TYPES, arrow_schema

Mask = np.ndarray[Any, np.dtype[np.bool_]]

TYPES_HOLD = "values_have_the_columns_types"

FROM_TEXT: dict[ColumnType, str] = {
    "string": "{value}",
    "int64": "CASE WHEN regexp_full_match({trimmed}, '[+-]?[0-9]+([.]0*)?') "
    "THEN TRY_CAST(regexp_replace({trimmed}, '[.]0*$', '') AS BIGINT) END",
    "float64": "CASE WHEN regexp_full_match({trimmed}, "
    "'[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?') "
    "AND isfinite(TRY_CAST({trimmed} AS DOUBLE)) THEN TRY_CAST({trimmed} AS DOUBLE) END",
    "bool": (
        "CASE lower({trimmed}) WHEN 'true' THEN true WHEN '1' THEN true WHEN 'false' THEN false WHEN '0' "
        "THEN false END"
    ),
    "timestamp": "CASE WHEN regexp_full_match({trimmed}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}"
    "([ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,9}})?)?( "
    "?(Z|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?))?)?') "
    "THEN TRY_CAST(CASE WHEN length({trimmed}) = 10 THEN {trimmed} || ' 00:00:00' ELSE {trimmed} END AS "
    "TIMESTAMPTZ) END",
    "date": (
        "CASE WHEN regexp_full_match({trimmed}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN TRY_CAST({trimmed} "
        "AS DATE) END"
    ),
}
"""DuckDB expressions that give null for a text that is not of the type; `timestamp` without an offset is UTC.
"""


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

    def reason(self, position: int, columns: Mapping[str, ColumnType]) -> str:
        """Which values of a row do not have their type."""
        return (
            "; ".join(
                f"{name} is not of type {columns[name]}"
                for name, mask in self.broken.items()
                if mask[position]
            )
            + "."
        )


def from_text(rows: pa.Table, columns: Mapping[str, ColumnType]) -> TypedRows:
    """Read values from text; null stays null, and so does blank text in a column of another type."""
    texts = rows.select(list(columns))
    selected = ", ".join(f"{_typed(name, kind)} AS {_quoted(name)}" for name, kind in columns.items())
    with duckdb.connect(config={"threads": 1}) as session:
        session.execute("SET TimeZone = 'UTC'")
        session.register("texts", texts)
        typed = session.sql(f"SELECT {selected} FROM texts").to_arrow_table().cast(arrow_schema(columns))  # noqa: S608
    broken = {name: _given(texts.column(name), columns[name]) & _null(typed.column(name)) for name in columns}
    return TypedRows(typed, broken)


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


def from_arrow(file: str, rows: pa.Table, columns: Mapping[str, ColumnType]) -> TypedRows:
    """Read values of a Parquet file, whose types may be others that hold the same values.

    Raises:
        DataRejected: A column is of a type that has nothing to do with the declared one.
    """
    typed, broken = {}, {}
    for name, kind in columns.items():
        column = rows.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            typed[name], broken[name] = _from_column(column, kind)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise DataRejected(
                f"{file}: the column {name!r} is {column.type}, but the table's is {kind}. Write that type."
            ) from error
    return TypedRows(pa.table(typed, schema=arrow_schema(columns)), broken)


def _from_column(column: pa.Array, kind: ColumnType) -> tuple[pa.Array, Mask]:
    """A column as `kind`, and which of its values it cannot hold.

    Raises:
        pa.ArrowNotImplementedError: Its type has nothing to do with `kind`.
    """
    found, wanted = column.type, ARROW_TYPES[kind]
    if _is_text(found) and kind != "string":
        read = from_text(pa.table({"value": column.cast(pa.string())}), {"value": kind})
        return read.rows.column("value").combine_chunks(), read.broken["value"]
    if not _related(found, kind):
        raise pa.ArrowNotImplementedError(f"{found} to {wanted}")
    fits = np.ones(len(column), dtype=np.bool_)
    if pa.types.is_floating(found) or pa.types.is_decimal(found):
        numbers = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
        fits = np.isfinite(numbers)
        if kind == "int64":
            fits &= (np.trunc(numbers) == numbers) & (np.abs(numbers) < 2.0**63)
    elif found == pa.uint64() and kind == "int64":
        small = pc.less(column, pa.scalar(2**63, pa.uint64()))
        fits = pc.fill_null(small, True).to_numpy(zero_copy_only=False)  # noqa: FBT003
    kept = pc.if_else(pa.array(fits), column, pa.scalar(None, found))
    return kept.cast(wanted, safe=False), ~fits


def _related(found: pa.DataType, kind: ColumnType) -> bool:
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    related: dict[ColumnType, bool] = {
        "string": _is_text(found),
        "int64": number,
        "float64": number,
        "bool": pa.types.is_boolean(found),
        "timestamp": pa.types.is_timestamp(found) or pa.types.is_date(found),
        "date": pa.types.is_date(found),
    }
    return related[kind] or pa.types.is_null(found)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _fits(value: Any, kind: ColumnType) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "int64":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if kind == "float64":
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) <= sys.float_info.max
        )
    return isinstance(value, str)


def _plain(value: Any, kind: ColumnType) -> Any:
    if value is None:
        return None
    return {"int64": int, "float64": float}.get(kind, lambda same: same)(value)


def _typed(name: str, kind: ColumnType) -> str:
    return FROM_TEXT[kind].format(value=_quoted(name), trimmed=f"trim({_quoted(name)})")


def _given(texts: pa.ChunkedArray, kind: ColumnType) -> Mask:
    given = pc.is_valid(texts)
    if kind != "string":
        not_blank = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
        given = pc.and_(given, pc.fill_null(not_blank, False))  # noqa: FBT003
    return np.asarray(given, dtype=np.bool_)


def _null(column: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.is_null(column), dtype=np.bool_)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
