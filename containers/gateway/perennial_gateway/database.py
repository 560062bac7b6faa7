"""The gateway's tables: routes, predictions, labels, labels taken back, and who may ask.

SQLite on one machine, PostgreSQL by its URL.
"""

import sqlite3
import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import sqlalchemy as sa
from pydantic import AfterValidator

from perennial_gateway.environments import schema_of

BUSY_SECONDS = 10
"""How long SQLite waits for another process's transaction."""

metadata = sa.MetaData()
Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")

routes = sa.Table(
    "routes",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("change", sa.String(20), nullable=False),
    sa.Column("route", sa.Text),
    sa.Column("at", sa.String(40), nullable=False),
    sqlite_autoincrement=True,
)

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("prediction_id", sa.String(32), nullable=False, unique=True),
    sa.Column("model", sa.String(63), nullable=False),
    sa.Column("predicted_at", sa.String(40), nullable=False),
    sa.Column("model_version", sa.String(63), nullable=False),
    sa.Column("run_id", sa.String(63), nullable=False),
    sa.Column("features", sa.Text, nullable=False),
    sa.Column("prediction", sa.Text, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("sent_by", sa.String(63)),
    sa.Column("latency_seconds", sa.Float),
    sa.Column("role", sa.String(20)),
    sa.Column("trace_id", sa.String(32)),
    sa.Column("instances", sa.Integer),
    sa.Index("predictions_by_model", "model", "sequence"),
    sa.Index("predictions_by_time", "model", "predicted_at", "model_version"),
    sqlite_autoincrement=True,
)
"""A row an instance; `instances` says how many its request had, null in rows of an earlier gateway."""

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("prediction_id", sa.String(32), nullable=False),
    sa.Column("model", sa.String(63), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("received_at", sa.String(40), nullable=False),
    sa.Column("sent_by", sa.String(63)),
    sa.Index("feedback_by_model", "model", "sequence"),
    sa.Index("feedback_by_time", "model", "received_at"),
    sqlite_autoincrement=True,
)

takebacks = sa.Table(
    "takebacks",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("sent_by", sa.String(63)),
    sa.Column("since", sa.String(40)),
    sa.Column("until", sa.String(40), nullable=False),
    sa.Column("labels", sa.Integer, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

splits = sa.Table(
    "splits",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("after_route", Sequence, nullable=False),
    sa.Column("split", sa.Text),
    sa.Column("at", sa.String(40), nullable=False),
    sqlite_autoincrement=True,
)
"""Which part of a model's requests a second version answers or sees; null ends it. A split holds as long as
the newest change of the model's route is `after_route`."""

failures = sa.Table(
    "failures",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("model", sa.String(63), nullable=False),
    sa.Column("failed_at", sa.String(40), nullable=False),
    sa.Column("model_version", sa.String(63), nullable=False),
    sa.Column("run_id", sa.String(63), nullable=False),
    sa.Column("role", sa.String(20)),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("failures_by_model", "model", "sequence"),
    sa.Index("failures_by_time", "model", "failed_at"),
    sqlite_autoincrement=True,
)
"""Requests that a version did not answer through no fault of the caller's, counted by second. In the role
`shadow`: copies that were not sent to it, because too many were under way."""

shadows = sa.Table(
    "shadows",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("prediction_id", sa.String(32), nullable=False),
    sa.Column("model", sa.String(63), nullable=False),
    sa.Column("predicted_at", sa.String(40), nullable=False),
    sa.Column("model_version", sa.String(63), nullable=False),
    sa.Column("run_id", sa.String(63), nullable=False),
    sa.Column("prediction", sa.Text),
    sa.Column("score", sa.Float),
    sa.Column("latency_seconds", sa.Float),
    sa.Column("fault", sa.Text),
    sa.Column("live_prediction", sa.Text, nullable=False),
    sa.Column("live_version", sa.String(63), nullable=False),
    sa.Column("agreed", sa.Integer),
    sa.Column("instances", sa.Integer),
    sa.Index("shadows_by_model", "model", "sequence"),
    sa.Index("shadows_by_time", "model", "predicted_at"),
    sqlite_autoincrement=True,
)
"""What a version that answers nobody would have said, beside what the caller was told: `fault` where it
failed, else `agreed`, 0 or 1."""

spools = sa.Table(
    "spools",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("moved_bytes", sa.BigInteger, nullable=False),
)
"""Up to where each spool file is in the tables; it changes in the transaction that moves the rows."""

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("models", sa.Text),
    sa.Column("rate", sa.String(100)),
    sa.Column("body_bytes", sa.Integer),
    sa.Column("expires_at", sa.String(40)),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("revoked_at", sa.String(40)),
    sa.Column("revoked_by", sa.String(200)),
    sqlite_autoincrement=True,
)
"""Who may ask: of each token its hash alone. A row is changed once, when the token is revoked, and stays."""

peers = sa.Table(
    "peers",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("home", sa.String(80), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("parent", sa.Integer, nullable=False),
    sa.Column("connections", sa.Integer, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
    sa.Column("routes", Sequence, nullable=False),
    sa.Column("splits", Sequence, nullable=False),
    sa.Column("in_flight", sa.Text, nullable=False),
)
"""The processes that answer requests now: up to which change of the routes and splits each has come, and what
it still works on. `home` tells those of one machine and container, who see each other's pids; of one
`parent` are those of one port."""

logs = sa.Table("log", metadata, sa.Column("log_id", sa.String(32), primary_key=True))


LOG_LOCK = 7_236_837
"""The number of the lock that writers of the log take in turn; it has no meaning."""

NUL = "\0"
"""The one character that PostgreSQL keeps in no text and takes in no question; SQLite does both."""


def _require_no_nul(text: str) -> str:
    if NUL in text:
        raise ValueError("has the character NUL (\\u0000), which not every database keeps; take it out")
    return text


Text = Annotated[str, AfterValidator(_require_no_nul)]
"""A text that every database keeps."""


def connect(url: str) -> sa.Engine:
    """The engine of the database, its tables made where they are missing.

    SQLite syncs each commit to disk before it says that it is done: an answered request has to survive a
    power cut.
    """
    if sa.make_url(url).get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True)
    else:
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})

        @sa.event.listens_for(engine, "connect")
        def _durable(connection, _record) -> None:  # type: ignore[no-untyped-def]
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous=FULL")

    with engine.begin() as connection:
        alone(connection)  # several gateways may start at once
        if (schema := schema_of(url)) is not None:
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        metadata.create_all(connection)
        _add_what_is_missing(connection)
        if connection.execute(logs.select()).first() is None:
            connection.execute(logs.insert().values(log_id=uuid4().hex))
    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers read while one writes. SQLite does not wait for a lock when it changes the journal."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _add_what_is_missing(connection: sa.Connection) -> None:
    """Give tables of an earlier version the columns and indices that they lack; in old rows a column is
    null.
    """
    inspector = sa.inspect(connection)
    for table in metadata.sorted_tables:
        found = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in found:
                kind = column.type.compile(connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def in_order(connection: sa.Connection) -> None:
    """Let the rows of this transaction become visible after those of every transaction that was here before.

    A reader that goes on after the last sequence which it saw misses none then, though several processes
    write. SQLite has one writer at a time by itself.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOG_LOCK)))


def alone(connection: sa.Connection) -> None:
    """Let nobody else change routes, splits or tables until this transaction ends; call it first in it.

    The driver of SQLite begins no transaction for a CREATE or a SELECT.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    in_order(connection)


def log_id(engine: sa.Engine) -> str:
    """The name of this database's log; a reader that kept a sequence of another one begins anew."""
    with engine.connect() as connection:
        return str(connection.scalar(sa.select(logs.c.log_id)))


def now() -> str:
    """The time, as the tables keep it."""
    return as_text(datetime.now(UTC))


def as_text(time: datetime) -> str:
    """A time of UTC as the tables keep it: ISO 8601, microseconds, so that texts are in order of time."""
    return time.isoformat(timespec="microseconds")
