"""Some rows of a landed file, as a reader gives them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.landed_file import LandedFile
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import Mask, TypedRows
from tasks.spec import ColumnType, TableSpec

READABLE = "row_is_readable"
BATCH_BYTES = 32 << 20
"""About how much of a file is held at once."""

ROW_BYTES = 8 << 20
"""How long one row of text may be."""

Numbers = np.ndarray[Any, np.dtype[np.int64]]
HasValues = Callable[[Numbers], Mask]
Describe = Callable[[Sequence[int]], list[str]]


@dataclass(frozen=True)
class LandedRows:
    """Readable rows, and the unreadable ones that were met among them.

    Attributes:
        typed: Their values, with a note of each that does not have its column's type.
        numbers: For each row its place in the file, as `BrokenRow.number`.
        unreadable: The rows that are no rows.
        landed: Gives the rows at some positions as they were landed, as JSON.
        blank: How many rows were left out because they hold nothing.
    """

    typed: TypedRows
    numbers: Numbers
    unreadable: tuple[BrokenRow, ...]
    landed: Describe
    blank: int = 0


Reader = Callable[[LandedFile, TableSpec, Mapping[str, ColumnType]], Iterator[LandedRows]]
"""Gives a file's rows batch by batch; the last argument has the columns that joined the table before.

Raises `DataRejected` for a fault of the whole file, which may show only at its end.
"""


def without_blank(rows: LandedRows, key: str, has_others: HasValues) -> LandedRows:
    """Leave out the rows that hold nothing, as a spreadsheet writes them below its last one.

    Args:
        has_others: Tells the rows that have a value in a column which does not join the table.
    """
    if any(
        column.null_count == 0 and not pa.types.is_string(column.type) for column in rows.typed.rows.columns
    ):
        return rows  # each row has a value there
    blank = _no_value(rows.typed.rows.column(key)) & ~rows.typed.broken[key]
    blank[blank] = np.logical_and.reduce(
        [
            _no_value(rows.typed.rows.column(name))[blank] & ~rows.typed.broken[name][blank]
            for name in rows.typed.rows.column_names
        ]
    )
    blank[blank] = ~has_others(np.flatnonzero(blank))
    if not blank.any():
        return rows
    kept = np.flatnonzero(~blank)
    return LandedRows(
        rows.typed.take(kept),
        rows.numbers[kept],
        rows.unreadable,
        lambda positions: rows.landed(kept[list(positions)].tolist()),
        rows.blank + int(blank.sum()),
    )


def values_of(rows: pa.Table) -> HasValues:
    """Tells which rows of a table have a value."""

    def told(positions: Numbers) -> Mask:
        chosen = rows.take(pa.array(positions, pa.int64()))
        nothing = [np.ones(len(positions), dtype=np.bool_), *map(_no_value, chosen.columns)]
        return ~np.asarray(np.logical_and.reduce(nothing), dtype=np.bool_)

    return told


def _no_value(column: pa.ChunkedArray) -> Mask:
    nothing = np.asarray(pc.is_null(column), dtype=np.bool_)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        nothing |= np.asarray(pc.equal(pc.utf8_trim_whitespace(column), "").fill_null(False), dtype=np.bool_)  # noqa: FBT003
    return nothing


def as_json(rows: pa.Table) -> Describe:
    """Tells the rows of a table as JSON objects."""

    def told(positions: Sequence[int]) -> list[str]:
        chosen = rows.take(pa.array(positions, pa.int64()))
        columns = [_as_python(column) for column in chosen.columns]
        return [
            json.dumps(dict(zip(chosen.column_names, row, strict=True)), default=str)
            for row in zip(*columns, strict=True)
        ]

    return told


def _as_python(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; the times of years that Python does not have, as Arrow prints them."""
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        values = [_plain_value(column.slice(place, 1)) for place in range(len(column))]
    return values


def _plain_value(value: pa.ChunkedArray) -> Any:
    try:
        return value[0].as_py()
    except (OverflowError, ValueError):
        return " ".join(value.combine_chunks().to_string().split()).strip("[] ")
