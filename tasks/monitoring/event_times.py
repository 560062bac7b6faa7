"""When the rows of a snapshot happened, by a column of the model's own table."""

import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import DataSnapshot
from tasks.data.model_query import ask
from tasks.errors import LakeError
from tasks.monitoring.domain_classifier import TIMES
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import quote


def times_of(
    lake: Lake, snapshot: DataSnapshot, spec: PipelineSpec, rows: pa.Table
) -> tuple[str | None, pa.ChunkedArray | None, tuple[str, ...]]:
    """By which column it is known, when each row of a snapshot happened, and what there is to say of it.

    Args:
        rows: Of the snapshot, with the key, or with the column itself.

    Returns:
        The column's name and the times, without a zone, in UTC; None where nothing says them.
    """
    name = time_column_of(spec)
    if name is None:
        return None, None, (NO_TIME.format(spec.name),)
    if name in rows.column_names:
        return name, _as_times(rows.column(name)), ()
    data, pinned = spec.data, {table.table: table.version for table in snapshot.pinned}
    sql = f"SELECT {quote(data.key)} AS key, {quote(name)} AS time FROM {quote(data.table)}"  # noqa: S608 - quoted
    try:
        known = ask(lake, data, pinned, sql)
    except LakeError as error:
        return None, None, (f"When the rows of the reference happened cannot be told: {error}",)
    places = pc.index_in(rows.column(data.key), value_set=known["key"].combine_chunks())
    return name, _as_times(known["time"].combine_chunks().take(places.combine_chunks())), ()


NO_TIME = (
    "Nothing says when a row of the reference happened, so nobody knows how much days differ until the "
    "champion has served for some. Name a column in monitor.time_column of models/{}/pipeline.yaml."
)


def time_column_of(spec: PipelineSpec) -> str | None:
    """What pipeline.yaml names, or the only column of the model's own table that is a time."""
    if spec.monitor.time_column is not None:
        return spec.monitor.time_column
    times = [name for name, kind in spec.data.columns.items() if kind in TIMES]
    return times[0] if len(times) == 1 else None


def _as_times(values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    """Times without a zone, in UTC."""
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return pc.cast(chunked, pa.timestamp("us"))
