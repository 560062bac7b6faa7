"""A model's query over pinned versions of its tables: its own, and those that the query joins."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow.dataset import Dataset

from tasks.errors import InvalidProject, InvalidQuery
from tasks.spec import DataSpec, PipelineSpec, TableSpec
from tasks.stores.lake import Lake, arrow_schema
from tasks.stores.lake_rows import ADDED
from tasks.stores.lake_sql import new_session

UNSEEDED = "a sample without a seed"


def pin(lake: Lake, data: DataSpec, as_of: datetime | None = None) -> dict[str, int]:
    """The version of each table that a reader at `as_of` saw (None: the newest), the model's own table first.

    Raises:
        LakeError: There is no such table, or it did not exist at `as_of`.
    """
    names = [table.table for table in data.all_tables]
    return {name: lake.version_at(name, as_of) if as_of else lake.latest(name) for name in names}


def ask(
    lake: Lake,
    data: DataSpec,
    versions: Mapping[str, int] | None,
    sql: str | None = None,
    *,
    widened: bool = False,
    without: Mapping[str, str] | None = None,
) -> pa.Table:
    """Run the model's query, or another one, which sees its tables alone.

    Of rows with the same key the tables show the newest.

    Args:
        versions: The version of each table; of one that is not named the newest. None for tables that are
            as they are declared, and empty.
        sql: One SELECT statement; None for `data.query`.
        widened: Whether an earlier version has the columns that joined its table since, null in it. A query
            of today may name them; a snapshot, which has to give the same rows again, goes without.
        without: Of a table, an SQL condition on rows that count as if they had never come.

    Raises:
        InvalidQuery: The query is wrong, or reaches beyond these tables.
        LakeError: There is no such table or version.
    """
    views = {table.table: _view(lake, table, versions, widened=widened) for table in data.all_tables}
    keys = {table.table: table.key for table in data.all_tables}
    return lake.query(sql or data.query, views, newest_by=keys, without=without)


def _view(
    lake: Lake, table: TableSpec, versions: Mapping[str, int] | None, *, widened: bool
) -> pa.Table | Dataset | tuple[str, int | None]:
    if versions is None:
        return _empty(table)
    pinned = (table.table, versions.get(table.table))
    return lake.widened(*pinned) if widened else pinned


def _empty(table: TableSpec) -> pa.Table:
    return pa.unify_schemas([arrow_schema(table.columns), ADDED]).empty_table()


def training_rows(
    lake: Lake,
    spec: PipelineSpec,
    versions: Mapping[str, int] | None,
    without: Mapping[str, str] | None = None,
) -> pa.Table:
    """What the model's query gives of these versions of its tables; None for tables without a row.

    Args:
        without: Of a table, an SQL condition on rows that count as if they had never come.

    Raises:
        InvalidProject: The query is wrong, reaches beyond its tables, gives other rows each time, or lacks a
            column.
        LakeError: There is no such table or version.
    """
    data = spec.data
    try:
        refuse_unrepeatable(data.query)
        rows = ask(lake, data, versions, without=without)
    except InvalidQuery as error:
        raise InvalidProject(
            f"models/{spec.name}/pipeline.yaml: data.query: {error} Correct the query."
        ) from error
    wanted = {
        data.key,
        data.label,
        *data.split.columns,
        *data.features,
        *(each.column for each in data.slice_by),
    }
    missing = sorted(wanted - set(rows.column_names))
    double = sorted(name for name, count in Counter(rows.column_names).items() if count > 1)
    if missing or double:
        fault = f"does not return the columns {missing}" if missing else f"returns the columns {double} twice"
        raise InvalidProject(
            f"models/{spec.name}/pipeline.yaml: data.query {fault}; it returns {rows.column_names}."
        )
    return rows


def tables_named(query: str) -> set[str]:
    """The tables that a query names, and its own WITH parts; nothing where it cannot be read, which its run
    tells of.
    """
    with new_session() as session:
        return {found["table_name"] for found in _nodes(_parsed(session, query)) if found.get("table_name")}


def refuse_unrepeatable(query: str) -> None:
    """Refuse a query whose rows depend on when, or how often, it is asked.

    Raises:
        InvalidQuery: It calls such a function; the message names it. Faults of its SQL are left to the run.
    """
    with new_session() as session:
        parsed = _parsed(session, query)
        listed = (
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT' AND "
            "function_name <> 'error'"
        )
        unrepeatable = {name for (name,) in session.execute(listed).fetchall()}
    unrepeatable |= {"current_timestamp", "current_time", "localtimestamp", "localtime", UNSEEDED}
    if called := sorted(set(_names(parsed)) & unrepeatable):
        raise InvalidQuery(
            f"It uses {', '.join(called)}, which answers differently each time. Write a fixed value instead."
        )


def _parsed(session: duckdb.DuckDBPyConnection, query: str) -> Any:
    return json.loads(session.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parsed query."""
    if isinstance(parsed, dict):
        yield parsed
        parsed = list(parsed.values())
    if isinstance(parsed, list):
        for value in parsed:
            yield from _nodes(value)


def _names(parsed: Any) -> Iterator[str]:
    """The functions that a parsed query calls, and the columns
    of one name, because some functions look like those.
    """
    if isinstance(parsed, dict):
        if isinstance(parsed.get("function_name"), str):
            yield parsed["function_name"].lower()
        if isinstance(parsed.get("sample"), dict) and parsed["sample"].get("seed") in {None, -1}:
            yield UNSEEDED
        names = parsed.get("column_names")
        if isinstance(names, list) and len(names) == 1:
            yield str(names[0]).lower()
        parsed = list(parsed.values())
    if isinstance(parsed, list):
        for value in parsed:
            yield from _names(value)
