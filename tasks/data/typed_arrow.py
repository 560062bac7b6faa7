"""Give the columns of a Parquet file the types that their table declares, value by value and exactly."""

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.typed_values import FIRST_SECOND, LAST_SECOND, Mask, TypedRows, from_text
from tasks.errors import DataRejected
from tasks.spec import ColumnType
from tasks.stores.lake import ARROW_TYPES, arrow_schema

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
PER_DAY = 86_400
WIDEST_WHOLE = pa.decimal256(76, 0)


def from_arrow(file: str, rows: pa.Table, columns: Mapping[str, ColumnType]) -> TypedRows:
    """Read values of a Parquet file, whose types may be others that hold the same values.

    A value that the declared type cannot hold exactly is marked as broken: `1.5` for a whole number, a time
    below microseconds or outside of the years 1 to 9999.

    Raises:
        DataRejected: Columns are of types that have nothing to do with the declared ones.
    """
    others = {
        name: found
        for name, kind in columns.items()
        if not _may_become(found := _of_values(rows.schema.field(name).type), kind)
    }
    if others:
        told = "; ".join(
            f"the column {name!r} is {found}, but the table's is {columns[name]}"
            for name, found in others.items()
        )
        raise DataRejected(f"{file}: {told}. Write {'that type' if len(others) == 1 else 'those types'}.")
    typed, broken = {}, {}
    for name, kind in columns.items():
        column = rows.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        typed[name], broken[name] = _from_column(column, kind)
    return TypedRows(pa.table(typed, schema=arrow_schema(columns)), broken)


def _of_values(found: pa.DataType) -> pa.DataType:
    """The type of a column's values, which a dictionary may hold."""
    return found.value_type if pa.types.is_dictionary(found) else found


def with_common_types(rows: pa.Table) -> pa.Table:
    """The same values without the types of Arrow that it can store, but not compute with."""
    schema = pa.schema([field.with_type(_common(field.type)) for field in rows.schema])
    return rows if schema == rows.schema else rows.cast(schema)


def _common(found: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(found):
        return pa.string()
    if pa.types.is_decimal32(found) or pa.types.is_decimal64(found):
        return pa.decimal128(found.precision, found.scale)
    return found


def kind_of(found: pa.DataType) -> ColumnType | None:
    """The column type that holds the values of an Arrow type; None for one that no column can hold."""
    if pa.types.is_dictionary(found):
        return kind_of(found.value_type)
    kinds: dict[ColumnType, bool] = {
        "string": _is_text(found) or pa.types.is_null(found),
        "bool": pa.types.is_boolean(found),
        "int64": pa.types.is_integer(found),
        "float64": pa.types.is_floating(found) or pa.types.is_decimal(found),
        "timestamp": pa.types.is_timestamp(found),
        "date": pa.types.is_date(found),
    }
    return next((kind for kind, holds in kinds.items() if holds), None)


def _from_column(column: pa.Array, kind: ColumnType) -> tuple[pa.Array, Mask]:
    """A column as `kind`, and which of its values it cannot hold."""
    found, wanted = column.type, ARROW_TYPES[kind]
    if (_is_text(found) and kind != "string") or (pa.types.is_decimal(found) and kind == "float64"):
        read = from_text(pa.table({"value": column.cast(pa.string())}), {"value": kind})
        return read.rows.column("value").combine_chunks(), read.broken["value"]
    given = column.is_valid().to_numpy(zero_copy_only=False)
    fits = given & _fits(column, kind)
    kept = column if fits.all() else pc.if_else(pa.array(fits), column, pa.scalar(None, found))
    return kept.cast(wanted, safe=False), given & ~fits


def _fits(column: pa.Array, kind: ColumnType) -> Mask:
    """For each value whether `kind` holds it exactly; of nulls it says nothing."""
    found = column.type
    if pa.types.is_decimal(found):
        return _whole_decimals(column)
    if pa.types.is_floating(found):
        return _finite(column.cast(pa.float64()), whole=kind == "int64")
    if pa.types.is_integer(found) and kind == "float64":
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        return _same_as_float(numbers)
    if found == pa.uint64():
        return _mask(pc.less(column, pa.scalar(2**63, found)))
    if pa.types.is_timestamp(found) or pa.types.is_date(found):
        return _times(column, kind)
    return np.ones(len(column), dtype=np.bool_)


def _whole_decimals(column: pa.Array) -> Mask:
    whole = pc.equal(pc.trunc(column), column)
    numbers = pc.if_else(whole, column, pa.scalar(Decimal(0), column.type)).cast(WIDEST_WHOLE)
    first, last = (pa.scalar(Decimal(bound), WIDEST_WHOLE) for bound in (-(2**63), 2**63 - 1))
    in_range = pc.and_(pc.greater_equal(numbers, first), pc.less_equal(numbers, last))
    return _mask(pc.and_(whole, in_range))


def _finite(column: pa.Array, *, whole: bool) -> Mask:
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    fits = np.isfinite(numbers)
    if whole:
        fits &= (np.trunc(numbers) == numbers) & (numbers >= -(2.0**63)) & (numbers < 2.0**63)
    return np.asarray(fits, dtype=np.bool_)


def _same_as_float(numbers: "np.ndarray[tuple[int], np.dtype[np.int64 | np.uint64]]") -> Mask:
    """Whether each whole number is one of those that float64 holds."""
    exact = np.abs(numbers.astype(np.float64)) < 2.0**53
    for place in np.flatnonzero(~exact):
        exact[place] = int(float(numbers[place])) == int(numbers[place])
    return np.asarray(exact, dtype=np.bool_)


def _times(column: pa.Array, kind: ColumnType) -> Mask:
    """Whether each time lies within the years 1 to 9999 and has no more digits than `kind`."""
    if pa.types.is_date32(column.type):
        numbers, per_second = column.cast(pa.int32()), 1 / PER_DAY
    else:
        unit = "ms" if pa.types.is_date64(column.type) else column.type.unit
        numbers, per_second = column.cast(pa.int64()), PER_SECOND[unit]
    values = numbers.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    fits = (values >= FIRST_SECOND * per_second) & (values < (LAST_SECOND + 1) * per_second)
    finest = (
        PER_DAY * 1000 if pa.types.is_date64(column.type) and kind == "date" else max(per_second // 10**6, 1)
    )
    return np.asarray(fits & (values % int(finest) == 0), dtype=np.bool_)


def _mask(values: pa.Array) -> Mask:
    return np.asarray(values.fill_null(True), dtype=np.bool_)  # noqa: FBT003 - of nulls it says nothing


def _may_become(found: pa.DataType, kind: ColumnType) -> bool:
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    related: dict[ColumnType, bool] = {
        "string": _is_text(found),
        "int64": number,
        "float64": number,
        "bool": pa.types.is_boolean(found),
        "timestamp": pa.types.is_timestamp(found) or pa.types.is_date(found),
        "date": pa.types.is_date(found),
    }
    return related[kind] or (_is_text(found) and kind != "string") or pa.types.is_null(found)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
