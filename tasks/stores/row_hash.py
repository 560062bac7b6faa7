"""A hash over the content of rows that does not depend on how a library stores them."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def sha256_of_rows(rows: pa.Table) -> str:
    """The SHA-256 of column names, types, and values in the order of rows and columns.

    Numbers are hashed as little-endian bytes, text as UTF-8 with its lengths, nulls as a mask; values of
    other types as JSON.
    """
    digest = hashlib.sha256()
    for name in rows.column_names:
        column = rows.column(name).combine_chunks()
        for part in _bytes_of(
            name, pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        ):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def _bytes_of(name: str, column: pa.Array) -> Iterator[bytes]:
    kind = (
        "string"
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        else str(column.type)
    )
    yield name.encode()
    yield kind.encode()
    yield np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    if kind == "string":
        yield from _text(column.fill_null("").cast(pa.large_string()))
    elif (plain := _plain_numbers(column)) is not None:
        yield plain.astype(plain.dtype.newbyteorder("<")).tobytes()
    else:
        yield from _text(
            pa.array(
                [json.dumps(value, default=str, sort_keys=True) for value in column.to_pylist()],
                pa.large_string(),
            )
        )


def _text(column: pa.Array) -> Iterator[bytes]:
    yield pc.binary_length(column).to_numpy().astype("<i8").tobytes()
    yield "".join(column.to_pylist()).encode()


def _plain_numbers(column: pa.Array) -> "np.ndarray[Any, Any] | None":
    """Values of fixed width as numbers, nulls as zero; None for other types."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_timestamp(kind) or pa.types.is_time64(kind) or pa.types.is_duration(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = column.cast(pa.int32())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    return np.asarray(column.fill_null(0))
