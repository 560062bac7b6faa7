"""SQL over rows of the lake: a session that sees the named views, and one SELECT over them."""

import os
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow.dataset import Dataset

from tasks.errors import InvalidQuery

MARKS = "taken-back-"
"""What the batches begin with that take rows back: their rows have a key and nothing else."""

IS_MARK = f"starts_with(batch_id, '{MARKS}')"
"""The SQL condition on such rows."""

RECALLS = "recalled-"
"""What a batch begins with that recalls another one, whose name follows: its one row has no value."""

IS_RECALL = f"starts_with(batch_id, '{RECALLS}')"
RECALLED_BATCH = f"substr(batch_id, {len(RECALLS) + 1})"


def new_session() -> duckdb.DuckDBPyConnection:
    """A session that sees what is shown to it, and no file, network or other session; close it."""
    return _engine(os.getpid()).cursor()


@cache
def _engine(_process: int) -> duckdb.DuckDBPyConnection:
    """DuckDB, empty, in memory, on one thread, in UTC, once in a process: making one takes as long as five
    small queries. A process that was forked makes its own.
    """
    engine = duckdb.connect(config={"threads": 1, "python_enable_replacements": "false"})
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    engine.execute("SET enable_external_access = false")
    engine.execute("SET lock_configuration = true")
    return engine


def show(
    session: duckdb.DuckDBPyConnection,
    view: str,
    rows: Dataset | pa.Table,
    newest_by: str | None,
    without: str | None = None,
) -> None:
    """Give the session a view of the rows.

    A batch that was recalled counts as if it had never come: of a key that it shares with an earlier batch,
    the earlier row shows again. So it is with rows that the condition `without` holds for. Rows of one batch
    with the same key have an order too: that of their values.
    """
    if newest_by is None:
        session.register(view, rows)
        return
    session.register(f"every row of {view}", rows)
    key = quote(newest_by)
    values = ", ".join(quote(name) for name in rows.schema.names)
    every = quote(f"every row of {view}")
    session.execute(
        f"CREATE TEMP VIEW {quote(view)} AS SELECT * FROM {every} "  # noqa: S608 - quoted names
        f"WHERE NOT {IS_RECALL} AND NOT ({without or 'false'}) "
        f"AND batch_id NOT IN (SELECT {RECALLED_BATCH} FROM {every} WHERE {IS_RECALL}) "
        f"AND ({key} IS NULL OR {key} NOT IN (SELECT {key} FROM {every} WHERE {IS_MARK})) "
        f"QUALIFY {key} IS NULL OR "
        f"row_number() OVER (PARTITION BY {key} ORDER BY ingested_at DESC, batch_id DESC, {values}) = 1"
    )


def select(session: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    try:
        statements: list[Any] = session.extract_statements(sql)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise InvalidQuery(f"One SELECT statement is expected, but the query is: {sql.strip()}")
        return session.sql(sql).to_arrow_table()
    except (duckdb.OperationalError, duckdb.InternalError):
        raise
    except duckdb.Error as error:
        raise InvalidQuery(
            f"The query failed: {' '.join(str(error).split())}. The query was: {sql.strip()}"
        ) from error


def quote(name: str) -> str:
    """A name as SQL takes it, whatever letters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL takes it for a value."""
    return "'" + text.replace("'", "''") + "'"
