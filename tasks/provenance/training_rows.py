"""The rows of a snapshot: where they came from, and which of them would not be there without others."""

import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import BatchRows, DataSnapshot
from tasks.data import batches
from tasks.data.landing import Landing
from tasks.data.model_query import ask
from tasks.data.recalled import recalled_batches
from tasks.data.snapshot import PARTS
from tasks.errors import LakeError
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import literal, quote
from tasks.stores.parts import read_part

BY_BATCH = """
SELECT batch_id, count(*) AS rows, min(ingested_at) AS ingested_at FROM {table}
WHERE {key} IN (SELECT {key} FROM "rows that were seen") GROUP BY batch_id ORDER BY rows DESC, batch_id
"""
OF_BATCH = "SELECT count(*) AS rows, min(ingested_at) AS ingested_at FROM {table} WHERE {condition}"
LOST = """
SELECT count(*) AS rows FROM (SELECT * FROM "rows that were seen" EXCEPT ALL SELECT {columns} FROM "the rest")
"""


def rows_query(snapshot: DataSnapshot) -> str:
    """SQL that gives the rows of a snapshot from where they lie."""
    urls = ", ".join(literal(getattr(snapshot, name).url) for name in PARTS)
    return f"SELECT * FROM read_parquet([{urls}])"  # noqa: S608 - quoted


def read_rows(snapshot: DataSnapshot) -> pa.Table:
    """All rows of a snapshot, with the part of each in the column `part`.

    Raises:
        FrozenSetMismatch: A part is missing, or does not hold the rows that were frozen.
    """
    parts = {name: read_part(getattr(snapshot, name)) for name in PARTS}
    return pa.concat_tables(
        rows.append_column("part", pa.repeat(name, len(rows)))
        for name, rows in parts.items()
        if len(rows) or name == PARTS[0]
    )


def as_parquet(snapshot: DataSnapshot) -> bytes:
    """All rows of a snapshot, as `read_rows` gives them, as a Parquet file."""
    content = io.BytesIO()
    pq.write_table(read_rows(snapshot), content)
    return content.getvalue()


def batches_of(lake: Lake, snapshot: DataSnapshot, spec: PipelineSpec) -> tuple[BatchRows, ...]:
    """The batches that the rows of a snapshot came in, the largest first.

    Raises:
        LakeError: The rows cannot be found by their key, because the query makes keys of its own, or the
            table has another key now.
        FrozenSetMismatch: A part is missing, or does not hold the rows that were frozen.
    """
    key, table = spec.data.key, snapshot.table
    seen = read_rows(snapshot)
    if key not in seen.column_names:
        raise LakeError(
            f"The rows of the snapshot have no column {key!r}, which is the key of {table!r} now."
        )
    grouping = BY_BATCH.format(table=quote(table), key=quote(key))
    views = {table: (table, snapshot.table_version), "rows that were seen": seen.select([key])}
    left_out = batches.without(table, snapshot.left_out_batches)
    found = lake.query(grouping, views, newest_by={table: key}, without=left_out).to_pylist()
    if (matched := sum(row["rows"] for row in found)) != len(seen):
        raise LakeError(
            f"Of the {len(seen)} rows of the snapshot, {matched} have a key of {table!r}: the query makes "
            "keys of its own."
        )
    origins = _files(lake, table)
    recalled = recalled_batches(lake, table)
    return tuple(
        BatchRows(table=table, file=origins.get(row["batch_id"]), recalled=row["batch_id"] in recalled, **row)
        for row in found
    )


def _files(lake: Lake, table: str) -> dict[str | None, str | None]:
    """The landed file of each batch, as far as the commits say: those of an earlier Perennial do not."""
    return {commit.batch_id: commit.file for commit in lake.commits(table)}


def whole_batch(lake: Lake, table: str, batch_id: str, condition: str = "true") -> BatchRows:
    """A batch as the table's newest version has it, or those of its rows that an SQL condition holds for."""
    where = f"batch_id = {literal(batch_id)} AND ({condition})"
    counting = OF_BATCH.format(table=quote(table), condition=where)
    (row,) = lake.query(counting, [table]).to_pylist()
    file = _files(lake, table).get(batch_id) or Landing(table).find_archived(batch_id)
    told = {"batch_id": batch_id, "file": file, **row}
    return BatchRows(table=table, recalled=batch_id in recalled_batches(lake, table), **told)


def lost_without(
    lake: Lake, snapshot: DataSnapshot, spec: PipelineSpec, without: Mapping[str, str]
) -> dict[str, int]:
    """How many rows of each part would not be there, or would be other rows, without some of a table's.

    The snapshot's query is run again on the versions that it pinned, without them: so a row counts that a
    query joins, or computes from several.

    Args:
        without: Of a table, the SQL condition on those that count as if they had never come.

    Raises:
        LakeError: The query does not run on the tables as the specification describes them now.
        FrozenSetMismatch: A part is missing, or does not hold the rows that were frozen.
    """
    versions = {table.table: table.version for table in snapshot.pinned}
    data = spec.data.model_copy(update={"query": snapshot.query})
    left_out = batches.without(snapshot.table, snapshot.left_out_batches)
    both = {name: f"({without.get(name, 'false')}) OR ({left_out.get(name, 'false')})" for name in versions}
    rest = ask(lake, data, versions, without=both)
    parts = {name: read_part(getattr(snapshot, name)) for name in PARTS}
    return {name: _lost(lake, rows, rest) for name, rows in parts.items()}


def _lost(lake: Lake, rows: pa.Table, rest: pa.Table) -> int:
    if len(rows) == 0:
        return 0
    columns = ", ".join(quote(name) for name in rows.column_names)
    lost = lake.query(LOST.format(columns=columns), {"rows that were seen": rows, "the rest": rest})
    return int(lost["rows"][0].as_py())
