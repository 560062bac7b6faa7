"""Which slices each frozen row is in."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.contracts import SnapshotPart
from tasks.errors import CheckFailed
from tasks.spec import PipelineSpec, SliceSpec, bin_names
from tasks.stores.parts import read_part

MOST_SLICES = 50
MISSING = "missing"
DIGITS = 4
"""Of an edge that a quantile gives."""


class Slice(NamedTuple):
    """Some of the rows: those where `column` has `value`, or a number in the bin of that name."""

    column: str
    value: str
    rows: NDArray[np.bool_]


class SlicedColumn(NamedTuple):
    """The name of each row's slice, shape (rows,)."""

    column: str
    names: "NDArray[np.str_]"

    def where(self, rows: NDArray[np.bool_]) -> "SlicedColumn":
        return SlicedColumn(self.column, self.names[rows])

    def slices(self) -> Iterator[Slice]:
        """Largest first; of a column with very many values the smallest are left out."""
        values, counts = np.unique(self.names, return_counts=True)
        for value in values[np.argsort(-counts, kind="stable")][:MOST_SLICES]:
            yield Slice(self.column, str(value), self.names == value)


def sliced_columns(spec: PipelineSpec, rows: pa.Table, train: SnapshotPart) -> tuple[SlicedColumn, ...]:
    """Each column that is sliced by, with the slices of the rows.

    Args:
        rows: The frozen rows.
        train: The part that the edges of quantiles are of, so that the test rows have no say in them.

    Raises:
        CheckFailed: A column that is put into bins has other values than numbers.
    """
    trained = read_part(train) if any(each.quantiles for each in spec.data.slice_by) else None
    return tuple(
        SlicedColumn(each.column, np.array(list(_names(each, rows, trained)))) for each in spec.data.slice_by
    )


def _names(by: SliceSpec, rows: pa.Table, trained: pa.Table | None) -> Iterator[str]:
    values = rows[by.column].to_pylist()
    if not by.has_bins:
        yield from (MISSING if value is None else str(value) for value in values)
        return
    edges = edges_of(by, trained)
    numbers = _numbers(rows, by.column)
    names = np.array(bin_names(edges))[np.searchsorted(edges, np.nan_to_num(numbers), side="right")]
    yield from np.where(np.isnan(numbers), MISSING, names)


def edges_of(by: SliceSpec, trained: pa.Table | None) -> tuple[float, ...]:
    """Where one bin ends and the next begins: as declared, or by the rows of the training part."""
    return by.edges if trained is None or by.quantiles is None else _quantiles(trained, by, by.quantiles)


def _quantiles(trained: pa.Table, by: SliceSpec, parts: int) -> tuple[float, ...]:
    numbers = _numbers(trained, by.column)
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return ()
    edges: Sequence[float] = np.quantile(known, np.arange(1, parts) / parts).tolist()
    return tuple(sorted({float(f"{edge:.{DIGITS}g}") for edge in edges}))


def _numbers(rows: pa.Table, column: str) -> NDArray[np.float64]:
    """The column's values, NaN where there is none."""
    kind = rows[column].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise CheckFailed(
            f"data.slice_by puts {column!r} into bins, but the query gives it as {kind}. Give numbers, or "
            "leave edges and quantiles out.",
            column=column,
        )
    return np.array([np.nan if value is None else float(value) for value in rows[column].to_pylist()])
