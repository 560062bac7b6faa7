"""Read Parquet without what its reader lets pass by default: checksums are held to, times are not cut."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.data.landed_file import MAXIMUM_BYTES, LandedFile
from tasks.data.landed_rows import BATCH_BYTES, LandedRows, as_json, values_of, without_blank
from tasks.data.layout import Layout, layout_of
from tasks.data.typed_arrow import from_arrow, kind_of, with_common_types
from tasks.data.typed_values import Mask, TypedRows
from tasks.errors import DataRejected
from tasks.spec import ColumnType, TableSpec

MOST_ROWS = 1 << 19
FEWEST_ROWS = 1 << 10
BUFFER_BYTES = 1 << 20

ENCRYPTED = b"PARE"
"""Ends a file whose footer is encrypted (the Parquet format's Modular Encryption)."""

COLLECTED = b"perennial.collected"
"""The key of a file's metadata by which `collect` says that it wrote it."""


def read_parquet(
    landed: LandedFile, table: TableSpec, grown: Mapping[str, ColumnType]
) -> Iterator[LandedRows]:
    """The rows of a Parquet file."""
    try:
        with landed.open() as source, _file(source, "us") as file:
            layout = _layout(landed.name, file, table, grown)
            before = 0
            for batch, fine in _batches(landed, file, _old_times(file, layout)):
                rows = with_common_types(pa.Table.from_batches([batch]))
                typed = from_arrow(landed.name, rows, layout.read)
                typed = layout.complete(_without_cut_times(typed, rows, fine))
                numbers = np.arange(before + 1, before + len(rows) + 1)
                before += len(rows)
                landed_rows = LandedRows(typed, numbers, (), as_json(_as_landed(rows, fine)))
                yield without_blank(landed_rows, table.key, values_of(layout.left_out(rows)))
    except (pa.ArrowException, OSError) as error:
        remedy = (
            "It is encrypted; land it as it is without that."
            if _is_encrypted(landed)
            else "It is damaged or cut off; land it again."
        )
        raise DataRejected(
            f"{landed.name} cannot be read as Parquet: {str(error).rstrip('.')}. {remedy}"
        ) from error


def _is_encrypted(landed: LandedFile) -> bool:
    """Whether it says so itself, by what stands at its end."""
    with landed.open() as file:
        file.seek(-min(landed.size, len(ENCRYPTED)), os.SEEK_END)
        return file.read() == ENCRYPTED


def kinds_of_columns(landed: LandedFile) -> dict[str, ColumnType | None]:
    """The type of each column; None for one that no column can hold.

    Raises:
        DataRejected: It is no Parquet file, or a column is in it twice.
    """
    try:
        with landed.open() as source, _file(source, "us") as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataRejected(
            f"{landed.name} cannot be read as Parquet: {str(error).rstrip('.')}. It is damaged or cut off."
        ) from error
    if double := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise DataRejected(f"{landed.name} has the columns {double} more than once. Rename all but one.")
    return {field.name: kind_of(field.type) for field in schema}


def is_collected(landed: LandedFile) -> bool:
    """Whether our own `collect` wrote the file: each row of it was sent by somebody else."""
    try:
        with landed.open() as source, _file(source, "us") as file:
            return COLLECTED in (file.schema_arrow.metadata or {})
    except (pa.ArrowException, OSError):
        return False  # why, its reader tells


def _file(source: Any, unit: str) -> pq.ParquetFile:
    return pq.ParquetFile(
        source, buffer_size=BUFFER_BYTES, coerce_int96_timestamp_unit=unit, page_checksum_verification=True
    )


def _layout(name: str, file: pq.ParquetFile, table: TableSpec, grown: Mapping[str, ColumnType]) -> Layout:
    size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    if size > MAXIMUM_BYTES:
        raise DataRejected(
            f"{name} unpacks to {size >> 20:,} MiB; at most {MAXIMUM_BYTES >> 20} MiB are read. Land it in "
            "parts."
        )
    schema = file.schema_arrow
    return layout_of(name, schema.names, table, grown, lambda column: kind_of(schema.field(column).type))


def _batches(
    landed: LandedFile, file: pq.ParquetFile, old_times: Sequence[str]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    """The rows in batches, and beside each its times of the old kind to the nanosecond."""
    rows = _rows_of_a_batch(file)
    if not old_times:
        for batch in file.iter_batches(rows):
            batch.validate(full=True)
            yield batch, None
        return
    with landed.open() as source, _file(source, "ns") as exact:
        for batch, fine in zip(
            file.iter_batches(rows), exact.iter_batches(rows, columns=list(old_times)), strict=True
        ):
            batch.validate(full=True)
            yield batch, fine


def _rows_of_a_batch(file: pq.ParquetFile) -> int:
    size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    row_bytes = max(size // max(file.metadata.num_rows, 1), 1)
    return int(min(max(BATCH_BYTES // row_bytes, FEWEST_ROWS), MOST_ROWS))


def _old_times(file: pq.ParquetFile, layout: Layout) -> list[str]:
    """The columns of INT96, in which Spark and Impala wrote times; read as microseconds, they are cut."""
    columns = (file.schema.column(number) for number in range(len(file.schema)))
    return [
        column.path for column in columns if column.physical_type == "INT96" and column.path in layout.read
    ]


def _without_cut_times(typed: TypedRows, rows: pa.Table, fine: pa.RecordBatch | None) -> TypedRows:
    """Mark the times whose nanoseconds were cut. Those of far years do not fit nanoseconds, and are kept."""
    if fine is None:
        return typed
    kept, broken = typed.rows, dict(typed.broken)
    for name in fine.schema.names:
        cut = _cut(rows.column(name).combine_chunks(), fine.column(name))
        place = kept.schema.get_field_index(name)
        whole = pc.if_else(pa.array(~cut), kept.column(name), pa.scalar(None, kept.schema.field(place).type))
        broken[name] = broken[name] | cut
        kept = kept.set_column(place, kept.schema.field(place), whole)
    return TypedRows(kept, broken)


def _as_landed(rows: pa.Table, fine: pa.RecordBatch | None) -> pa.Table:
    """The rows with the times whose nanoseconds were cut as they were before that."""
    if fine is None:
        return rows
    for name in fine.schema.names:
        coarse = rows.column(name).combine_chunks()
        cut = _cut(coarse, fine.column(name))
        if cut.any():
            times = pc.if_else(pa.array(cut), fine.column(name).cast(pa.string()), coarse.cast(pa.string()))
            rows = rows.set_column(rows.schema.get_field_index(name), name, times)
    return rows


def _cut(coarse: pa.Array, fine: pa.Array) -> Mask:
    """Which times have digits below microseconds, by the same times as nanoseconds."""
    micro, nano = (values.cast(pa.int64()).fill_null(0).to_numpy() for values in (coarse, fine))
    return np.asarray((nano // 1000 == micro) & (nano % 1000 != 0), dtype=np.bool_)
