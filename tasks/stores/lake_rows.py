"""Rows on their way into a table of the lake: its types, its columns, and what the lake adds to them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from tasks.errors import LakeError

ADDED = pa.schema([("ingested_at", pa.timestamp("us", "UTC")), ("batch_id", pa.string())])


@dataclass(frozen=True)
class Stream:
    """Rows that are read batch by batch, once for each try to append them."""

    schema: pa.Schema
    batches: Callable[[], Iterable[pa.RecordBatch]]


def as_stream(rows: pa.Table | Stream, schema: pa.Schema, table: str) -> Stream:
    """The rows, of the table's types: a stream has to have them, others are given them."""
    unknown = sorted(set(rows.schema.names) - set(schema.names))
    if unknown:
        raise LakeError(
            f"The table {table!r} has the columns {sorted(schema.names)}, but the rows have {unknown} too. "
            "Add them to the table first."
        )
    if isinstance(rows, Stream):
        require_types(table, schema, rows.schema)
        return rows
    try:
        own = rows.cast(pa.schema([schema.field(name) for name in rows.column_names]))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LakeError(
            f"The rows do not fit the table {table!r}: {error}. Its columns are {describe(schema)}."
        ) from error
    return Stream(own.schema, own.to_batches)


def stamp(rows: Stream, batch_id: str, schema: pa.Schema, at: datetime) -> pa.RecordBatchReader:
    """The rows in the columns of the table, with the time and the batch."""
    now = pa.scalar(at, ADDED.field("ingested_at").type)
    added = {"ingested_at": now, "batch_id": pa.scalar(batch_id, pa.string())}

    def batches() -> Iterable[pa.RecordBatch]:
        for batch in rows.batches():
            columns = (_column(batch, field, added).cast(field.type) for field in schema)
            yield pa.record_batch(list(columns), schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _column(batch: pa.RecordBatch, field: pa.Field, added: Mapping[str, pa.Scalar]) -> pa.Array:
    if field.name in added:
        return pa.repeat(added[field.name], len(batch))
    return batch.column(field.name) if field.name in batch.schema.names else pa.nulls(len(batch), field.type)


def require_types(table: str, found: pa.Schema, wanted: pa.Schema) -> None:
    there, asked = describe(found), describe(wanted)
    if any(there.get(name, kind) != kind for name, kind in asked.items()):
        raise LakeError(
            f"The table {table!r} has the columns {there}, but {asked} is asked for. The type of a column "
            "does not change: give the column another name, or the new layout a new table.",
            found=there,
            wanted=asked,
        )


def describe(schema: pa.Schema) -> dict[str, str]:
    """Name and type of each column, with Arrow's several layouts of one type read as that type."""
    layouts = {
        "large_string": "string",
        "string_view": "string",
        "large_binary": "binary",
        "binary_view": "binary",
    }
    names = {field.name: re.sub(r"^timestamp\[\w+,", "timestamp[us,", str(field.type)) for field in schema}
    return {name: layouts.get(kind, kind) for name, kind in sorted(names.items())}


def without_null_types(schema: pa.Schema) -> pa.Schema:
    """Delta has no type for a column of nothing but nulls: text holds it."""
    return pa.schema(
        [(field.name, pa.string() if pa.types.is_null(field.type) else field.type) for field in schema]
    )
