"""Times in the platform's tables: one type, in order, never without a zone, also from earlier versions."""

import multiprocessing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.settings import settings
from tasks.stores import database
from tasks.stores.utc_time import UtcTime
from tests.unit.stores import earlier_database

MOMENT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def write(*times: datetime) -> list[datetime]:
    """Keep an open request for each time; returns what the database gives back, the earliest first."""
    columns = database.retrain_requests.c
    rows = [
        earlier_database.row(
            str(number), model=f"m{number}", open_model=None, granted_at=time, expires_at=time
        )
        for number, time in enumerate(times)
    ]
    with database.engine().begin() as connection:
        connection.execute(database.retrain_requests.insert(), rows)
        return list(connection.scalars(sa.select(columns.granted_at).order_by(columns.granted_at)))


def test_every_time_of_every_table_is_of_the_one_type() -> None:
    times = [
        column
        for table in database.metadata.sorted_tables
        for column in table.columns
        if column.name == "at" or column.name.endswith("_at")
    ]

    assert {str(column) for column in times} == {
        "alerts_told.told_at",
        "failed_runs.ran_at",
        "model_figures.at",
        "ledger.at",
        "loop_beats.at",
        "loop_told.told_at",
        "retrain_requests.granted_at",
        "retrain_requests.expires_at",
        "retrain_requests.closed_at",
    }
    assert all(isinstance(column.type, UtcTime) for column in times)


def test_times_of_every_zone_come_back_in_utc_and_in_order(home: Path) -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    later = MOMENT + timedelta(microseconds=1)

    found = write(later.astimezone(india), MOMENT + timedelta(days=9000), MOMENT)

    assert found == [MOMENT, later, MOMENT + timedelta(days=9000)]
    assert {time.tzinfo for time in found} == {UTC}


def test_a_time_is_compared_as_a_moment_whatever_its_zone(home: Path) -> None:
    write(MOMENT)
    granted_at = database.retrain_requests.c.granted_at
    in_new_york = MOMENT.astimezone(timezone(timedelta(hours=-5)))

    with database.engine().connect() as connection:
        for condition, holds in (
            (granted_at == in_new_york, 1),
            (granted_at <= in_new_york, 1),
            (granted_at < in_new_york, 0),
            (granted_at > in_new_york - timedelta(microseconds=1), 1),
        ):
            count = sa.select(sa.func.count()).where(condition)
            assert connection.scalar(count) == holds, condition


def test_a_time_without_a_zone_is_refused(home: Path) -> None:
    with pytest.raises(sa.exc.StatementError, match="has no time zone, so it names no moment"):
        write(MOMENT.replace(tzinfo=None))


def test_a_database_of_an_earlier_version_stays_readable(home: Path) -> None:
    earlier = sa.create_engine(sa.make_url(settings().database))
    earlier_database.make(earlier)
    earlier.dispose()

    database.engine.cache_clear()

    earlier_database.require_rewritten(database.engine())
    database.engine.cache_clear()
    earlier_database.require_rewritten(database.engine())


def test_processes_that_open_an_earlier_database_at_once_rewrite_it_once(home: Path) -> None:
    earlier = sa.create_engine(sa.make_url(settings().database))
    earlier_database.make(earlier)
    earlier.dispose()
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(8)

    def process() -> None:
        gate.wait(timeout=60)
        earlier_database.require_rewritten(database.engine())

    openers = [fork.Process(target=process) for _ in range(8)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(timeout=60)

    assert [opener.exitcode for opener in openers] == [0] * 8


def test_a_rewrite_that_is_cut_off_midway_leaves_the_earlier_table_as_it_was(home: Path) -> None:
    earlier = sa.create_engine(sa.make_url(settings().database))
    earlier_database.make(earlier)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    sa.event.listen(database.retrain_requests, "after_create", die)
    try:
        with pytest.raises(KeyboardInterrupt):
            database.engine()
    finally:
        sa.event.remove(database.retrain_requests, "after_create", die)

    with earlier.connect() as connection:
        granted = connection.scalars(sa.select(earlier_database.requests.c.granted_at)).all()
    earlier.dispose()
    assert granted == [earlier_database.GRANTED.timestamp()] * 2
    earlier_database.require_rewritten(database.engine())
