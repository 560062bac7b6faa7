"""Sessions of the query engine: each sees what it is shown, and nothing else.

To open an engine takes twenty times as long as a session of one, and longer than most queries of a step: a
process opens one, and keeps it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb


@contextmanager
def sql_session() -> Iterator[duckdb.DuckDBPyConnection]:
    """A session of its own: what is registered in it, and temporary views, end with it.

    It reaches no file, no network, no extension and no other session's views, and no statement can change
    that. It runs on one thread, in UTC, so that the same rows always give the same ones in the same order.
    """
    try:
        with _engine(os.getpid()).cursor() as session:
            yield session
    except (duckdb.FatalException, duckdb.InternalException):
        _engine.cache_clear()  # an engine that met a fault of its own answers nothing any more
        raise


@cache
def _engine(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001 - a forked process opens its own
    engine = duckdb.connect(config={"threads": 1, "python_enable_replacements": "false"})
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    engine.execute("SET enable_external_access = false")
    engine.execute("SET lock_configuration = true")
    return engine
