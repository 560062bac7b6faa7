"""The scales of a champion's door: kept in the lake, and made where it has none yet."""

from datetime import datetime

import pyarrow as pa

from tasks.contracts import DoorScales
from tasks.data import batches
from tasks.data.door.calibrate import TIMES, calibrate, kinds_of
from tasks.data.model_query import ask, pin
from tasks.errors import LakeError
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.lake import Lake, arrow_schema, rows_of
from tasks.stores.lake_sql import literal, quote

COLUMNS: dict[str, ColumnType] = {"run_id": "string", "document": "string"}
"""The columns of `<model>__door_scales`: `document` is a `DoorScales` as JSON."""

MOST_ROWS = 20_000


def name_of(model: str) -> str:
    """The table of a model's scales."""
    return f"{model}__door_scales"


def scales_of(lake: Lake, spec: PipelineSpec, run_id: str, answered_at: datetime) -> DoorScales | None:
    """The scales of the champion of this run; None where there are too few rows to tell what is ordinary.

    Args:
        answered_at: When it first answered: it could not learn from what came later.

    Raises:
        InvalidQuery: The model's query is wrong.
    """
    table = name_of(spec.name)
    if lake.exists(table):
        known = lake.read(table, columns=["document"], where_sql=f"run_id = {literal(run_id)} LIMIT 1")
        if len(known):
            return DoorScales.model_validate_json(known["document"][0].as_py())
    made = _make(lake, spec, run_id, answered_at)
    if made is not None:
        row = pa.table(
            {"run_id": [run_id], "document": [made.model_dump_json()]}, schema=arrow_schema(COLUMNS)
        )
        lake.append(table, row, batch_id=f"door-{run_id}")
    return made


def _make(lake: Lake, spec: PipelineSpec, run_id: str, answered_at: datetime) -> DoorScales | None:
    if not all(lake.exists(table.table) for table in spec.data.all_tables):
        return None
    tables = _versions(lake, spec, answered_at)
    data, key = spec.data, quote(spec.data.key)
    left_out = batches.without(data.table, batches.left_out(lake, spec.name, data.table))
    features = ", ".join(f"q.{quote(name)}" for name in kinds_of(spec))
    # Where nothing says when a row happened, it did when it joined.
    times = [name for name, kind in data.columns.items() if kind in TIMES]
    happened = quote(times[0]) if len(times) == 1 else "ingested_at"
    ordered = (
        f"SELECT {features}, t.happened, q.{key} AS row_id "  # noqa: S608 - quoted names
        f"FROM {rows_of(data.query)} AS q "
        f"LEFT JOIN (SELECT {key}, {happened} AS happened FROM {quote(data.table)}) AS t ON q.{key} = t.{key}"
    )
    read = {
        order: ask(
            lake,
            data,
            tables,
            f"SELECT * EXCLUDE (happened, row_id) FROM (SELECT * FROM ({ordered}) "  # noqa: S608 - of our own
            f"ORDER BY {order} LIMIT {MOST_ROWS}) ORDER BY happened, row_id",
            widened=True,
            without=left_out,
        )
        for order in ("hash(row_id), row_id", "happened DESC, row_id")
    }
    sample, newest = read.values()
    return calibrate(sample, newest, spec, run_id, tables)


def _versions(lake: Lake, spec: PipelineSpec, answered_at: datetime) -> dict[str, int]:
    try:
        return pin(lake, spec.data, answered_at)
    except LakeError:
        # A table was made anew since, or is younger than the log: what it has now is all that there is.
        return pin(lake, spec.data)
