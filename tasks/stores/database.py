"""The platform's own database: the ledger, the retrain requests, the snapshots, the alerts. SQLite on one
machine, PostgreSQL on many.

Every table is declared here, so that whoever opens the database finds all of them, whatever it has imported.
A table of an earlier version is rewritten where its declaration has changed.
"""

import sqlite3
from functools import cache
from typing import Any

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception, retry_if_exception_type, stop_after_delay, wait_random

from tasks.errors import DatabaseAway, InvalidSettings
from tasks.settings import settings
from tasks.stores.append_only import is_given_away, make_append_only
from tasks.stores.upgrade import rewrite_times
from tasks.stores.utc_time import UtcTime

BUSY_SECONDS = 60.0
CONNECT_SECONDS = 10
"""For one try of libpq's."""
FINAL = ("authentication failed", "does not exist", "unable to open database file", "no password supplied")
"""What a database says when asking again does not help."""

NO_URL = (
    "PERENNIAL_DATABASE_URL is no URL of a database. Write it as "
    "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, special letters of the password as %XX; or do not set "
    "it, for SQLite."
)

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

# What a granted training took, put down by Airflow's listener when it ends, and written to the ledger by a
# worker: a scheduler that cannot reach the ledger's store must still give the lock back.
training_costs = sa.Table(
    "training_costs",
    metadata,
    sa.Column("train_run_id", sa.String(128), primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("unit", sa.String(8), nullable=False),
    sa.Column("is_recorded", sa.Boolean, nullable=False),
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

# The newest run of each DAG of the loop, where it has failed; `ran_at` is when that run was due.
failed_runs = sa.Table(
    "failed_runs",
    metadata,
    sa.Column("dag_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("name", sa.String(63), nullable=False, index=True),
    sa.Column("tasks", sa.Text, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("ran_at", UtcTime, nullable=False),
)

# The trainings that go on past their deadline, until they end.
late_runs = sa.Table(
    "late_runs",
    metadata,
    sa.Column("dag_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("name", sa.String(63), nullable=False, index=True),
    sa.Column("deadline", UtcTime, nullable=False),
)

# When each loop of a platform was last at work: the loop itself, and its comparison with the ledger.
loop_beats = sa.Table(
    "loop_beats",
    metadata,
    sa.Column("loop", sa.String(63), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
)

# Where what is there did not agree with the ledger when the look of each minute last found it, until that is
# settled.
disagreements = sa.Table(
    "disagreements",
    metadata,
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
)

# Which channels were told that the loop is silent, and not yet that it is back; written as the next table is.
loop_told = sa.Table(
    "loop_told",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("told_at", UtcTime, nullable=False),
)

# What each channel was told of each trouble last: written after the message was taken, so that a process that
# is killed in between tells it twice and not never.
alerts_told = sa.Table(
    "alerts_told",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("reason", sa.String(63), nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("kinds", sa.Text, nullable=False),
    sa.Column("told_at", UtcTime, nullable=False),
    sa.Column("is_momentary", sa.Boolean, nullable=False),
)

# How each model stood when somebody looked last; the look of each fifth minute writes it anew.
model_figures = sa.Table(
    "model_figures",
    metadata,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("figures", sa.Text, nullable=False),
)


@cache
def engine() -> sa.Engine:
    """The engine of `settings().database`, its tables made where they are missing.

    A connection is opened for each use: decisions are rare, and Airflow forks processes that would share a
    kept one. SQLite waits for other writers instead of failing, and syncs each commit to disk.

    Raises:
        InvalidSettings: PERENNIAL_DATABASE_URL is not the URL of a database that can be opened here.
        DatabaseAway: It does not answer.
    """
    url = _url()
    if url.get_backend_name() != "sqlite":
        return _with_tables(_reached(_made(url, _bounded(url))))
    settings().home.mkdir(parents=True, exist_ok=True)
    made = _made(url, {"timeout": BUSY_SECONDS})
    sa.event.listen(made, "connect", _durable)
    return _with_tables(_reached(made))


def told(url: sa.URL) -> str:
    """Where the database is, without the password, which the query may have too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _url() -> sa.URL:
    text = settings().database
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise InvalidSettings(NO_URL) from error
    if url.host and text.count("@") > 1:  # what stands behind the first would be told as the host
        raise InvalidSettings(NO_URL)
    return url


def _made(url: sa.URL, connect: dict[str, Any]) -> sa.Engine:
    try:
        return sa.create_engine(url, connect_args=connect, poolclass=sa.NullPool)
    except (sa.exc.ArgumentError, ImportError, TypeError) as error:
        raise InvalidSettings(
            f"PERENNIAL_DATABASE_URL names a database that cannot be opened here, {told(url)}: {error}. "
            "Write postgresql+psycopg://…, or do not set it, for SQLite."
        ) from error


def _bounded(url: sa.URL) -> dict[str, Any]:
    """How long libpq waits for a server; without it, for as long as the network lets it."""
    of_libpq = url.drivername in {"postgresql", "postgresql+psycopg", "postgresql+psycopg2"}
    return {"connect_timeout": CONNECT_SECONDS} if of_libpq and "connect_timeout" not in url.query else {}


def _reached(made: sa.Engine) -> sa.Engine:
    """The engine, once a connection could be opened; a server that is just starting is waited for.

    Raises:
        DatabaseAway: None could.
    """
    again = Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_random(0.2, 0.6),
        stop=stop_after_delay(settings().database_wait_seconds),
        reraise=True,
    )
    try:
        for attempt in again:
            with attempt, made.connect():
                pass
    except sa.exc.DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise DatabaseAway(
            f"The platform's database cannot be opened at {told(made.url)} ({said}). Look whether it runs, "
            "and whether PERENNIAL_DATABASE_URL is right."
        ) from error
    return made


def _may_pass(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, sa.exc.OperationalError) and not any(words in said for words in FINAL)


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
