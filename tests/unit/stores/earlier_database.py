"""The retrain requests as earlier versions kept them, with their times in seconds since the epoch."""

from datetime import UTC, datetime

import sqlalchemy as sa

from tasks.stores.database import retrain_requests

GRANTED = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)
EXPIRES = datetime(2026, 1, 2, 9, tzinfo=UTC)

_earlier = sa.MetaData()
requests = sa.Table(
    "retrain_requests",
    _earlier,
    sa.Column("request_id", sa.String(64), primary_key=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("open_model", sa.String(63), unique=True),
    sa.Column("step_key", sa.Text, nullable=False),
    sa.Column("train_run_id", sa.String(128), nullable=False, unique=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("granted_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("closed_at", sa.Float),
    sa.Column("closed_why", sa.Text),
)


def row(request_id: str, **fields: object) -> dict[str, object]:
    """A request that is open, as an earlier version wrote it."""
    written: dict[str, object] = {
        "request_id": request_id,
        "model": "flights",
        "open_model": "flights",
        "step_key": request_id,
        "train_run_id": f"retrain__{request_id}",
        "reason": "The traffic changed.",
        "granted_at": GRANTED.timestamp(),
        "expires_at": EXPIRES.timestamp(),
        "closed_at": None,
        "closed_why": None,
    }
    return written | fields


def make(engine: sa.Engine) -> None:
    """A database of an earlier version, with one open request and one that was closed when it expired."""
    closed = {"open_model": None, "closed_at": EXPIRES.timestamp(), "closed_why": "the training run ended"}
    with engine.begin() as connection:
        _earlier.create_all(connection)
        connection.execute(requests.insert(), [row("1", **closed), row("2")])


def require_rewritten(engine: sa.Engine) -> None:
    """The database that `make` made says the same in today's type, with its indexes and its lock."""
    in_order = retrain_requests.select().order_by(retrain_requests.c.request_id)
    with engine.connect() as connection:
        closed, open_ = connection.execute(in_order).all()
        indexes = {index["name"] for index in sa.inspect(connection).get_indexes("retrain_requests")}
        kinds = {
            column["name"]: column["type"]
            for column in sa.inspect(connection).get_columns("retrain_requests")
        }
    assert (closed.granted_at, closed.expires_at, closed.closed_at) == (GRANTED, EXPIRES, EXPIRES)
    assert (open_.granted_at, open_.closed_at, open_.open_model) == (GRANTED, None, "flights")
    assert "ix_retrain_requests_model" in indexes
    assert all(isinstance(kinds[name], sa.String) for name in ("granted_at", "expires_at", "closed_at"))
