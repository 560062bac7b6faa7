"""Bring a table that an earlier version has made to today's declaration."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tasks.stores.utc_time import UtcTime


def rewrite_times(connection: sa.Connection, table: sa.Table) -> None:
    """Rewrite a table whose times an earlier version kept as seconds since the epoch.

    All or nothing, and once: who comes second waits for the first and finds nothing left to do. Call it
    before the connection has written anything.
    """
    if not _columns_in_seconds(connection, table):
        return
    _lock(connection, table)
    seconds = _columns_in_seconds(connection, table)
    if not seconds:
        return
    names: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in table.columns]
    old = connection.execute(sa.select(*names).select_from(sa.table(table.name))).mappings().all()
    rows = [{**row, **{name: _time(row[name]) for name in seconds}} for row in old]
    table.drop(connection)
    table.create(connection)
    if rows:
        connection.execute(table.insert(), rows)


def _columns_in_seconds(connection: sa.Connection, table: sa.Table) -> list[str]:
    times = {column.name for column in table.columns if isinstance(column.type, UtcTime)}
    return [
        column["name"]
        for column in sa.inspect(connection).get_columns(table.name)
        if column["name"] in times and not isinstance(column["type"], sa.String)
    ]


def _lock(connection: sa.Connection, table: sa.Table) -> None:
    """Keep others out until the transaction ends; the driver of SQLite begins none for a DROP or CREATE."""
    sqlite = connection.dialect.name == "sqlite"
    connection.execute(
        sa.text("BEGIN IMMEDIATE" if sqlite else f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
    )


def _time(seconds: Any) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
