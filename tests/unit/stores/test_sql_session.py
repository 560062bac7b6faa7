"""Sessions of one engine that know nothing of each other."""

import os
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest

from tasks.stores.sql_session import sql_session


def rows(*values: int) -> pa.Table:
    return pa.table({"value": pa.array(values)})


def total(session: duckdb.DuckDBPyConnection, view: str = "rows") -> int:
    return int(session.execute(f"SELECT sum(value) FROM {view}").fetchall()[0][0])


def test_two_sessions_have_different_rows_under_one_name() -> None:
    with sql_session() as one, sql_session() as other:
        for session, value in ((one, 1), (other, 2)):
            session.register("rows", rows(value))
            session.execute("CREATE TEMP VIEW twice AS SELECT 2 * value AS value FROM rows")
        assert [total(each, view) for each in (one, other) for view in ("rows", "twice")] == [1, 2, 2, 4]


def test_a_session_sees_nothing_of_an_earlier_one() -> None:
    with sql_session() as session:
        session.register("rows", rows(1))
        session.execute("CREATE TEMP VIEW twice AS SELECT * FROM rows")
    with sql_session() as session:
        for view in ("rows", "twice"):
            with pytest.raises(duckdb.CatalogException):
                total(session, view)


@pytest.mark.parametrize(
    "sql", ["SET threads = 2", "SET TimeZone = 'Asia/Tokyo'", "SET enable_external_access = true"]
)
def test_no_statement_changes_what_holds_for_all(sql: str) -> None:
    with sql_session() as session, pytest.raises(duckdb.InvalidInputException):
        session.execute(sql)


def test_threads_have_sessions_at_the_same_time() -> None:
    def summed(value: int) -> bool:
        for _ in range(20):
            with sql_session() as session:
                session.register("rows", rows(*[value] * 5000))
                if total(session) != 5000 * value:
                    return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(summed, range(4)))


def test_a_forked_process_has_an_engine_of_its_own() -> None:
    """While a session of its parent is open."""
    with sql_session() as session:
        session.register("rows", rows(1))
        child = os.fork()
        if child == 0:
            answer = None
            try:
                with sql_session() as own:
                    own.register("rows", rows(2))
                    answer = total(own)
            finally:
                os._exit(0 if answer == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert total(session) == 1


def test_after_a_fault_of_the_engine_there_is_another_one() -> None:
    def fault() -> None:
        with sql_session() as session:
            session.execute("CREATE TABLE of_this_engine AS SELECT 1 AS value")
            raise duckdb.FatalException("the database has been invalidated")

    with pytest.raises(duckdb.FatalException):
        fault()
    with sql_session() as session, pytest.raises(duckdb.CatalogException):
        total(session, "of_this_engine")
