"""The platform's own database: the ledger, the retrain requests and the snapshots. SQLite on one machine,
PostgreSQL on many.

Every table is declared here, so that whoever opens the database finds all of them, whatever it has imported.
A table of an earlier version is rewritten where its declaration has changed.
"""

import sqlite3
from functools import cache
from typing import Any

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from tasks.settings import settings
from tasks.stores.append_only import is_given_away, make_append_only
from tasks.stores.upgrade import rewrite_times
from tasks.stores.utc_time import UtcTime

BUSY_SECONDS = 60.0

metadata = sa.MetaData()

ledger_entries = sa.Table(
    "ledger",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(63), nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("evidence_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("previous_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("entry_hash", sa.String(64), nullable=False, unique=True),
)

# `open_model` holds the model's name while the request is open and NULL afterwards: its uniqueness is the
# in-flight lock.
retrain_requests = sa.Table(
    "retrain_requests",
    metadata,
    sa.Column("request_id", sa.String(64), primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("open_model", sa.String(63), unique=True),
    sa.Column("step_key", sa.Text, nullable=False),
    sa.Column("train_run_id", sa.String(128), nullable=False, unique=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("granted_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("closed_at", UtcTime),
    sa.Column("closed_why", sa.Text),
)

# What each training has seen, so that rows which join a table start one training and not two.
snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("run_key", sa.Text, primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("table_name", sa.String(63), primary_key=True),
    sa.Column("table_version", sa.Integer, nullable=False),
)


@cache
def engine() -> sa.Engine:
    """The engine of `settings().database`, its tables made where they are missing.

    A connection is opened for each use: decisions are rare, and Airflow forks processes that would share a
    kept one. SQLite waits for other writers instead of failing, and syncs each commit to disk.
    """
    url = sa.make_url(settings().database)
    if url.get_backend_name() != "sqlite":
        return _with_tables(sa.create_engine(url, poolclass=sa.NullPool))
    settings().home.mkdir(parents=True, exist_ok=True)
    made = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, poolclass=sa.NullPool)
    sa.event.listen(made, "connect", _durable)
    return _with_tables(made)


def _durable(connection: Any, _record: Any) -> None:
    """Let readers read while one writes (WAL).

    SQLite does not wait for a lock when it changes the journal: try again.
    """
    for attempt in _while_others_work():
        with attempt:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")


def _with_tables(made: sa.Engine) -> sa.Engine:
    """Make the tables, and bring those of an earlier version to their declaration.

    Several processes may come at once: the one who finds a table made meanwhile looks again.
    """
    for attempt in _while_others_work():
        with attempt, made.begin() as connection:
            for table in metadata.sorted_tables:
                if is_given_away(connection, table):
                    continue
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda index: str(index.name)):
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))
            rewrite_times(connection, retrain_requests)
            make_append_only(connection, ledger_entries)
    return made


def _while_others_work() -> Retrying:
    faults = (
        sqlite3.OperationalError,
        sa.exc.OperationalError,
        sa.exc.ProgrammingError,
        sa.exc.IntegrityError,
        sa.exc.InternalError,  # two make the same function at once
    )
    return Retrying(
        retry=retry_if_exception_type(faults),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_delay(BUSY_SECONDS),
        reraise=True,
    )
