"""A model's query over pinned versions of its tables: its own, and those that the query joins."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from tasks.spec import DataSpec
from tasks.stores.lake import Lake


def pin(lake: Lake, data: DataSpec, as_of: datetime | None = None) -> dict[str, int]:
    """The version of each table that a reader at `as_of` saw (None: the newest), the model's own table first.

    Raises:
        LakeError: There is no such table, or it did not exist at `as_of`.
    """
    names = [table.table for table in data.all_tables]
    return {name: lake.version_at(name, as_of) if as_of else lake.latest(name) for name in names}


def ask(lake: Lake, data: DataSpec, versions: Mapping[str, int], sql: str | None = None) -> pa.Table:
    """Run the model's query, or another one, which sees its tables alone.

    Of rows with the same key the tables show the newest.

    Args:
        versions: The version of each table; of one that is not named the newest.
        sql: One SELECT statement; None for `data.query`.

    Raises:
        InvalidQuery: The query is wrong, or reaches beyond these tables.
        LakeError: There is no such table or version.
    """
    views = {table.table: (table.table, versions.get(table.table)) for table in data.all_tables}
    keys = {table.table: table.key for table in data.all_tables}
    return lake.query(sql or data.query, views, newest_by=keys)
