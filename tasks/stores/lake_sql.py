"""SQL over rows of the lake: a session that sees the named views, and one SELECT over them."""

from collections.abc import Collection
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow.dataset import Dataset

from tasks.errors import InvalidQuery

MARKS = "taken-back-"
"""What the batches begin with that take rows back: their rows have a key and nothing else."""

IS_MARK = f"starts_with(batch_id, '{MARKS}')"
"""The SQL condition on such rows."""


def show(
    session: duckdb.DuckDBPyConnection,
    view: str,
    rows: Dataset | pa.Table,
    newest_by: str | None,
    without: Collection[str] = (),
) -> None:
    """Give the session a view of the rows.

    Rows of one batch with the same key have an order too: that of their values.

    Args:
        without: Batches that count as if they had never come: what their rows replaced shows again. Only of a
            view with `newest_by`.
    """
    if newest_by is None:
        session.register(view, rows)
        return
    all_rows = f"every row of {view}"
    if without:
        session.register(f"all batches of {view}", rows)
        named = ", ".join("'" + batch.replace("'", "''") + "'" for batch in without)
        session.execute(
            f"CREATE VIEW {quote(all_rows)} AS SELECT * FROM {quote(f'all batches of {view}')} "  # noqa: S608
            f"WHERE batch_id NOT IN ({named})"
        )
    else:
        session.register(all_rows, rows)
    key = quote(newest_by)
    values = ", ".join(quote(name) for name in rows.schema.names)
    every = quote(all_rows)
    session.execute(
        f"CREATE VIEW {quote(view)} AS SELECT * FROM {every} "  # noqa: S608 - quoted names
        f"WHERE {key} IS NULL OR {key} NOT IN (SELECT {key} FROM {every} WHERE {IS_MARK}) "
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
