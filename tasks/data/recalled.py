"""Leave a batch out of every later snapshot.

The training table is append-only, so a mark is appended: one row without a value, in a batch whose name says
which one it recalls. From that version of the table on, no query of a model sees the batch; earlier versions,
and what was trained on them, stay what they were.
"""

import pyarrow as pa

from tasks.stores.lake import Lake
from tasks.stores.lake_sql import IS_RECALL, RECALLED_BATCH, RECALLS, quote


def leave_out(lake: Lake, table: str, batch_id: str, why: str) -> int:
    """Mark a batch, once however often it is asked for, and return the table's version after it."""
    nothing = f"SELECT * EXCLUDE (ingested_at, batch_id) FROM {quote(table)} LIMIT 0"  # noqa: S608
    columns = lake.query(nothing, [table]).schema
    row = pa.table({field.name: pa.nulls(1, field.type) for field in columns})
    return lake.append(
        table, row, batch_id=f"{RECALLS}{batch_id}", metadata={"recalls": batch_id, "why": why}
    )


def recalled_batches(lake: Lake, table: str, version: int | None = None) -> set[str]:
    """The batches that a version of the table leaves out (None: the newest)."""
    query = f"SELECT {RECALLED_BATCH} AS batch_id FROM {quote(table)} WHERE {IS_RECALL}"  # noqa: S608 - our own
    return set(lake.query(query, {table: (table, version)})["batch_id"].to_pylist())
