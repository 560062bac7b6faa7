"""The platform's own database: the ledger and the retrain requests. SQLite on one machine, PostgreSQL on many."""

from functools import cache

import sqlalchemy as sa

from tasks.settings import settings

metadata = sa.MetaData()


@cache
def engine() -> sa.Engine:
    """The engine of `settings().database`, its tables made where they are missing.

    SQLite waits for other writers instead of failing, and syncs each commit to disk.
    """
    url = sa.make_url(settings().database)
    if url.get_backend_name() != "sqlite":
        return _with_tables(sa.create_engine(url, pool_pre_ping=True))
    settings().home.mkdir(parents=True, exist_ok=True)
    made = sa.create_engine(url, connect_args={"timeout": 60})

    @sa.event.listens_for(made, "connect")
    def _durable(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    return _with_tables(made)


def _with_tables(made: sa.Engine) -> sa.Engine:
    metadata.create_all(made)
    return made
