"""The lake: append-only Delta tables whose every version can be read again, and SQL over pinned versions.

delta-rs is used with four guards. Time travel goes by the commits' own timestamps: by file times, every
version of a copied table would be the first one. Nothing of the log is ever cleaned. The tables refuse
deletes. An append carries a transaction identifier, so that it writes once however often, and by however many
processes at once, it is tried.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from pyarrow.dataset import Dataset, FileSystemDataset
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from tasks.errors import LakeError
from tasks.settings import settings
from tasks.spec import ColumnType
from tasks.stores import files
from tasks.stores.lake_client import client_options
from tasks.stores.lake_history import INGESTED_AT, Commit, commits_of, next_time, one_at_a_time
from tasks.stores.lake_rows import (
    ADDED,
    Stream,
    as_stream,
    require_types,
    stamp,
    without_null_types,
)
from tasks.stores.lake_sql import literal, new_session, quote, select, show

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}

KEEP_EVERYTHING = {
    "delta.appendOnly": "true",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
}

CONFLICTS_SECONDS = 120


def arrow_schema(columns: Mapping[str, ColumnType]) -> pa.Schema:
    """The Arrow schema of columns as a pipeline.yaml declares them, without what the lake adds."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in columns.items()])


def rows_of(query: str) -> str:
    """A team's query as SQL that stands where a table does, whatever comment or semicolon it ends with.

    Whoever puts a query into another one does it by this, so that the drift check counts what the snapshot
    reads.
    """
    return f"query({literal(query)})"


class Lake:
    """The tables below one URL.

    Args:
        url: A local folder or an object-store URL (s3://, gs://, az://; credentials from the environment);
            None for the one of the settings.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = (url or settings().lake).rstrip("/")
        self._options = client_options(self.url)

    def create(self, table: str, columns: Mapping[str, ColumnType]) -> None:
        """Make an empty table; where it is there, add the columns that it lacks, null in its rows.

        Raises:
            LakeError: The table is there with columns of other types.
        """
        wanted = arrow_schema(columns)
        self._create(table, wanted)
        self.widen(table, wanted)

    def widen(self, table: str, columns: pa.Schema) -> None:
        """Add the columns that a table lacks. What it has stays; rows that are there have null in the new.

        Raises:
            LakeError: The table has one of the columns with another type.
        """
        for attempt in _until_no_conflict():
            with attempt:
                delta = self._open(table)
                found = pa.schema(delta.schema().to_arrow())
                require_types(table, found, columns)
                if added := [field for field in columns if field.name not in found.names]:
                    delta.alter.add_columns([Field.from_arrow(field) for field in added])

    def columns(self, table: str) -> dict[str, ColumnType]:
        """The columns of a table and their types, without what the lake adds.

        A column of a type that no pipeline.yaml declares is left out.
        """
        kinds = {kind: name for name, kind in ARROW_TYPES.items()}
        found = {field.name: kinds.get(field.type) for field in _own_columns(self._open(table))}
        return {name: kind for name, kind in found.items() if kind}

    def schema(self, table: str) -> pa.Schema | None:
        """The columns of a table, without what the lake adds; None where there is no table."""
        delta = self._found(table)
        return None if delta is None else _own_columns(delta)

    def append(
        self,
        table: str,
        rows: pa.Table | Stream,
        *,
        batch_id: str,
        app_id: str | None = None,
        app_version: int = 1,
        app_previous: int | None = None,
        metadata: dict[str, str] | None = None,
    ) -> int:
        """Append rows with the time and `batch_id`, once for each `app_id` (default: the batch) and
        `app_version`; the time is later than that of every row before, also where the clock was set back.

        A table that is missing is made with the rows' columns. An append of an `app_version` that the table
        already holds, or a later one, writes nothing. Columns of the table that the rows lack are null.

        Args:
            app_previous: What the table's newest `app_version` has to be (0: none yet), else nothing is
                written: a reader that goes on from there was overtaken by another one. None for any.

        Returns:
            The table's version after it.

        Raises:
            LakeError: The rows have columns that the table has not, or values that its types do not hold.
        """
        transaction = Transaction(app_id or batch_id, app_version)
        for attempt in _until_no_conflict():
            with attempt:
                if (delta := self._found(table)) is None:
                    self._create(table, without_null_types(rows.schema))
                    delta = self._open(table)
                written = delta.transaction_version(transaction.app_id) or 0
                if written < app_version and app_previous in {None, written}:
                    schema = pa.schema(delta.schema().to_arrow())
                    at = next_time(delta)
                    told = {**(metadata or {}), "batch_id": batch_id, INGESTED_AT: at.isoformat()}
                    properties = CommitProperties(custom_metadata=told, app_transactions=[transaction])
                    rows_to_write = stamp(as_stream(rows, schema, table), batch_id, schema, at)
                    with one_at_a_time:
                        write_deltalake(delta, rows_to_write, mode="append", commit_properties=properties)
        return self.latest(table)

    def exists(self, table: str) -> bool:
        return self._found(table) is not None

    def latest(self, table: str) -> int:
        """The newest version."""
        return int(self._open(table).version())

    def version_at(self, table: str, as_of: datetime) -> int:
        """The version that a reader at the time `as_of` saw.

        Where a writer's clock ran behind, its commit counts as made when the one before it was, so that
        versions and times have one order.

        Raises:
            LakeError: `as_of` lies before the first commit, or has no time zone.
        """
        if as_of.tzinfo is None:
            raise LakeError(
                f"{as_of.isoformat()} has no time zone. Add one, for example {as_of.isoformat()}Z."
            )
        commits = self.commits(table)
        seen = [commit.version for commit in commits if commit.at <= as_of]
        if not seen:
            raise LakeError(
                f"The table {table!r} did not exist at {as_of.isoformat()}: its first commit is of "
                f"{commits[0].at.isoformat()}. Ask for a later time."
            )
        return max(seen)

    def committed_at(self, table: str, version: int) -> datetime:
        """When a version was committed, by the commit's own timestamp (milliseconds, UTC)."""
        times = {commit.version: commit.at for commit in self.commits(table)}
        if version not in times:
            raise LakeError(f"The table {table!r} has no version {version}; the newest is {max(times)}.")
        return times[version]

    def commits(self, table: str) -> tuple[Commit, ...]:
        """Every commit of a table, oldest first."""
        return commits_of(self._open(table))

    def holds(self, table: str, version: int, batch_id: str) -> bool:
        """Whether a version of the table has the batch."""
        return self._open(table, version).transaction_version(batch_id) is not None

    def app_version(self, table: str, app_id: str) -> int | None:
        """The last `app_version` that was appended for
        `app_id`; None for none, or where the table is missing.
        """
        delta = self._found(table)
        written = delta and delta.transaction_version(app_id)
        return None if written is None else int(written)

    def read(
        self,
        table: str,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        where_sql: str | None = None,
    ) -> pa.Table:
        """Rows of a version (None: the newest), of the named columns, where the SQL condition holds."""
        selected = ", ".join(quote(column) for column in columns) if columns else "*"
        condition = f" WHERE {where_sql}" if where_sql else ""
        return self.query(f"SELECT {selected} FROM {quote(table)}{condition}", {table: (table, version)})  # noqa: S608

    def widened(self, table: str, version: int | None) -> Dataset:
        """The rows of a version with the columns that joined the table since, which are null in it.

        Raises:
            LakeError: There is no such table or version.
        """
        newest = self._open(table).to_pyarrow_dataset().schema
        return _in_one_order(self._open(table, version)).replace_schema(newest)

    def query(
        self,
        sql: str,
        tables: Mapping[str, tuple[str, int | None] | pa.Table | Dataset] | Sequence[str],
        *,
        newest_by: Mapping[str, str] | None = None,
        without: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Run one SELECT (DuckDB) over pinned versions.

        The query sees the views that are named and nothing else: no file, no network, no extension. It runs
        on one thread, in UTC, so that on the same versions it gives the same rows in the same order.

        Args:
            sql: One SELECT statement.
            tables: For each view its table and version (None: the newest), or rows that are at hand; a list
                of names is each table at its newest.
            newest_by: A view's column: where several rows have the same value of it, the view shows the one
                that was ingested last, and none where one of them is a mark (`MARKS`), and no row of a batch
                that was recalled (`RECALLS`). A view that is not named shows every row.
            without: Of such a view, an SQL condition on rows that count as if they had never come.

        Raises:
            InvalidQuery: The query is wrong, is not one SELECT, or reaches for something else.
            LakeError: There is no such table or version.
        """
        views: Mapping[str, Any] = (
            tables if isinstance(tables, Mapping) else {name: (name, None) for name in tables}
        )
        with new_session() as session:
            for view, rows in views.items():
                at_hand = rows if isinstance(rows, pa.Table | Dataset) else _in_one_order(self._open(*rows))
                show(session, view, at_hand, (newest_by or {}).get(view), (without or {}).get(view))
            return select(session, sql)

    def _create(self, table: str, columns: pa.Schema) -> None:
        wanted = pa.schema([*columns, *(field for field in ADDED if field.name not in columns.names)])
        if not self.exists(table):
            files.require_one_creator(self.url)
            for attempt in _until_no_conflict():
                with attempt:
                    DeltaTable.create(
                        self._url(table),
                        schema=wanted,
                        mode="ignore",
                        configuration=KEEP_EVERYTHING,
                        storage_options=self._options,
                    )

    def _found(self, table: str) -> DeltaTable | None:
        """The table; None where there is none. `DeltaTable.is_deltatable` would keep Python's own lock until
        the store has answered.
        """
        try:
            return DeltaTable(self._url(table), storage_options=self._options)
        except TableNotFoundError:
            return None

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(self._url(table), version=version, storage_options=self._options)
        except TableNotFoundError as error:
            raise LakeError(
                f"There is no table {table!r} in {self.url}. Ingest a file of it first."
            ) from error
        except DeltaError as error:
            if version is None:
                raise
            raise LakeError(f"The table {table!r} has no version {version}: {error}") from error

    def _url(self, table: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,127}", table):
            raise LakeError(
                f"{table!r} cannot be a table's name. Use lower-case letters, digits and underscores."
            )
        return f"{self.url}/{table}"


def _until_no_conflict() -> Retrying:
    """Try again while another writer commits in between; the last conflict is raised as it is."""
    return Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.02, max=2),
        stop=stop_after_delay(CONFLICTS_SECONDS),
        reraise=True,
    )


def _own_columns(delta: DeltaTable) -> pa.Schema:
    fields = pa.schema(delta.schema().to_arrow())
    return pa.schema([(each.name, _plain(each.type)) for each in fields if each.name not in ADDED.names])


def _plain(kind: pa.DataType) -> pa.DataType:
    """Arrow's several layouts of text as the usual one."""
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _in_one_order(delta: DeltaTable) -> Dataset:
    """The files of a version, by name: the log lists them in another order once it has a checkpoint."""
    found = delta.to_pyarrow_dataset()
    fragments = sorted(found.get_fragments(), key=lambda fragment: fragment.path)
    return FileSystemDataset(fragments, found.schema, found.format, found.filesystem)
