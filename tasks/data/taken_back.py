"""Keep rows out of training whose labels were taken back after they had landed.

The training table is append-only, so a mark is appended: a row with the same key and nothing else, in a batch
whose name says what it is. From that version of the table on no snapshot sees a row with that key, whichever
of the two came first: a file with the row may still wait in the landing folder.
"""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import TakenBack
from tasks.data.labelled import feedback_rows, labelled, prepare, taken_back_after_landing
from tasks.data.typed_arrow import from_arrow
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import IS_MARK, MARKS


def hide_taken_back(lake: Lake, spec: PipelineSpec) -> tuple[TakenBack, ...]:
    """Mark the rows of labels that were taken back, and name all that is hidden in the model's table.

    Called again, it marks nothing twice and names the same.

    Raises:
        InvalidQuery: The model's `feedback_query` is wrong.
    """
    if spec.data.feedback_query is None or not lake.exists(f"{spec.name}__feedback"):
        return ()
    prepare(lake, spec)
    rows = feedback_rows(lake, spec, labelled(lake, spec, taken_back_after_landing()))
    if len(rows) and spec.data.key in rows.column_names:
        _mark(lake, spec, _keys(rows, spec))
    return _hidden_batches(lake, spec)


def _keys(rows: pa.Table, spec: PipelineSpec) -> pa.Array:
    key = spec.data.key
    typed = from_arrow(f"feedback_query of {spec.name}", rows.select([key]), {key: spec.data.columns[key]})
    unique = pc.unique(typed.rows.column(key)).drop_null()
    return unique.take(pc.sort_indices(unique))


def _mark(lake: Lake, spec: PipelineSpec, keys: pa.Array) -> None:
    table, key = spec.data.table, spec.data.key
    if not lake.exists(table):
        lake.create(table, spec.data.columns)
    marked = lake.read(table, columns=[key], where_sql=IS_MARK).column(key).combine_chunks()
    new = keys.filter(pc.invert(pc.is_in(keys, marked)))
    if len(new) == 0:
        return
    empty = lake.query(f"SELECT * EXCLUDE (ingested_at, batch_id) FROM {table} LIMIT 0", [table])  # noqa: S608
    nulls = {field.name: pa.nulls(len(new), field.type) for field in empty.schema}
    name = hashlib.sha256("\n".join(map(str, new.to_pylist())).encode()).hexdigest()[:32]
    lake.append(
        table, pa.table({**nulls, key: new}), batch_id=f"{MARKS}{name}", metadata={"model": spec.name}
    )


def _hidden_batches(lake: Lake, spec: PipelineSpec) -> tuple[TakenBack, ...]:
    """The batches of the training table whose rows are hidden, and how many of each."""
    table, key = spec.data.table, spec.data.key
    if not lake.exists(table):
        return ()
    counting = f"""
        SELECT batch_id, count(*) AS rows FROM {table} WHERE NOT {IS_MARK}
        AND "{key}" IN (SELECT "{key}" FROM {table} WHERE {IS_MARK}) GROUP BY batch_id ORDER BY batch_id
    """  # noqa: S608 - names of the specification
    return tuple(TakenBack.model_validate(row) for row in lake.query(counting, [table]).to_pylist())
