"""The log's thread outlives a disk that takes nothing and a process that may open nothing."""

import asyncio
import logging
import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway import mover
from perennial_gateway.__main__ import main
from perennial_gateway.database import connect, feedback
from perennial_gateway.log import DurableLog

from tests.unit.gateway.postgres import postgres_url
from tests.unit.gateway.small_disk import SmallDisk, small_disk
from tests.unit.gateway.test_log import MEBIBYTE, append, ids, in_a_process, until


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk() as disk:
        yield disk


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover, "ADOPT_SECONDS", 0.2)
    monkeypatch.setattr(mover, "AGAIN_SECONDS", 0.1)


def test_a_refused_row_for_which_the_disk_is_full_waits_and_is_kept_aside_once(
    engine: sa.Engine, disk: SmallDisk
) -> None:
    log = DurableLog(engine, disk.folder, most_bytes=MEBIBYTE)
    append(log, 1, 2, 2, 3)
    disk.fill()
    log.start()

    until(lambda: "No space" in log.fault)
    time.sleep(0.5)
    assert (log.alive, ids(engine)) == (True, ["1", "2"])
    disk.empty()
    log.settle()

    assert (log.fault, ids(engine)) == ("", ["1", "2", "3"])
    [aside] = disk.folder.glob("*.refused")
    assert aside.read_bytes().count(b'"prediction_id":"2"') == 1
    log.stop()


def test_a_spool_that_cannot_be_replaced_goes_on(
    engine: sa.Engine, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "ROTATE_BYTES", 1000)
    log = DurableLog(engine, disk.folder, most_bytes=MEBIBYTE)
    [first] = disk.folder.glob("*.spool")
    disk.fill_with_files()
    log.start()

    append(log, *range(20))
    until(lambda: "No space" in log.fault)
    append(log, *range(20, 40))
    log.settle()
    assert (log.alive, len(ids(engine)), first.exists()) == (True, 40, True)
    disk.empty()
    append(log, 40)
    log.settle()

    until(lambda: not first.exists() and not log.fault)
    log.stop()
    assert ids(engine) == [str(number) for number in range(41)]


def open_no_more_files(url: str, folder: Path, told: Any) -> None:
    """Log while no file can be opened, and again when one can."""
    logging.disable()
    mover.ADOPT_SECONDS = mover.AGAIN_SECONDS = 0.1
    engine = connect(url)
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    log.start()
    append(log, 1)
    log.settle()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    until(lambda: "Too many open files" in log.fault)
    time.sleep(0.5)
    told.put(log.alive)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: not log.fault)
    append(log, 2)
    log.settle()
    told.put(ids(engine))
    log.stop()


def test_a_process_that_may_open_no_more_files_goes_on_when_it_may(engine: sa.Engine, tmp_path: Path) -> None:
    told = multiprocessing.get_context("spawn").Queue()
    child = in_a_process(open_no_more_files, str(engine.url), tmp_path / "spool", told)

    assert told.get(timeout=60) is True
    assert told.get(timeout=60) == ["1", "2"]
    child.join(60)
    assert child.exitcode == 0


def start_with_few_files(told: Any) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    os.environ.clear()
    with pytest.raises(SystemExit, match="settings are wrong"):
        main()
    told.put(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))


def test_the_gateway_opens_as_many_files_as_it_may() -> None:
    told = multiprocessing.get_context("spawn").Queue()
    child = in_a_process(start_with_few_files, told)

    assert told.get(timeout=60) is True
    child.join(60)


def test_no_row_is_put_aside_because_sqlite_has_no_space(tmp_path: Path, disk: SmallDisk) -> None:
    full = connect(f"sqlite:///{disk.folder / 'gateway.db'}")
    rows_wait_for_space(full, tmp_path / "spool", disk)
    full.dispose()


def test_no_row_is_put_aside_because_postgresql_has_no_space(tmp_path: Path, disk: SmallDisk) -> None:
    with postgres_url() as url:
        full = connect(url)
        place = disk.folder / "tables"
        place.mkdir()
        shutil.chown(place, "nobody")
        with full.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"CREATE TABLESPACE small LOCATION '{place}'"))
            connection.execute(sa.text("ALTER TABLE predictions SET TABLESPACE small"))
        rows_wait_for_space(full, tmp_path / "spool", disk)
        full.dispose()


def rows_wait_for_space(full: sa.Engine, folder: Path, disk: SmallDisk) -> None:
    log = DurableLog(full, folder, most_bytes=MEBIBYTE)
    disk.fill()
    log.start()
    append(log, *range(500))

    until(lambda: "full" in log.fault or "No space" in log.fault)
    time.sleep(0.5)
    disk.empty()
    until(lambda: not log.fault)
    log.settle()
    log.stop()

    assert not list(folder.glob("*.refused"))
    assert ids(full) == [str(number) for number in range(500)]


@pytest.mark.parametrize(
    "line",
    [
        b'p{"prediction_id": "torn\n',
        b'p{"prediction_id": "torn", "model": "\0\0\0\n',
        b'p{"prediction_id": "\xff\xfe"}\n',
        b"p[]\n",
        b"p5\n",
        b"\0\0\0\0\n",
        b'q{"prediction_id": "of a later version"}\n',
        b'p{"prediction_id": "without the rest"}\n',
    ],
)
def test_a_line_that_is_no_row_is_put_aside_and_holds_up_nothing(
    engine: sa.Engine, tmp_path: Path, line: bytes
) -> None:
    put_aside(engine, tmp_path / "spool", line)
    with postgres_url() as url:
        other = connect(url)
        put_aside(other, tmp_path / "of PostgreSQL", line)
        other.dispose()


def put_aside(engine: sa.Engine, folder: Path, line: bytes) -> None:
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    append(log, 1)
    log._mover.append(line)
    append(log, 2)
    log.start()
    log.settle()

    assert (log.fault, ids(engine)) == ("", ["1", "2"])
    [aside] = folder.glob("*.refused")
    assert aside.read_bytes() == line
    log.stop()


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_a_commit_whose_answer_is_lost_doubles_no_row(
    kind: str, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "SQLite":
        each_label_once(engine, tmp_path / "spool", monkeypatch)
        return
    with postgres_url() as url:
        other = connect(url)
        each_label_once(other, tmp_path / "spool", monkeypatch)
        other.dispose()


def each_label_once(engine: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = {"prediction_id": "1", "model": "m", "label": "1", "received_at": "now"}
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    asyncio.run(log.append("feedback", [label]))
    really, lost = engine.dialect.do_commit, []

    def do_commit(connection: Any) -> None:
        really(connection)
        if not lost:
            asyncio.run(log.append("feedback", [label]))  # comes before it is tried again
            lost.append(True)
            raise engine.dialect.loaded_dbapi.OperationalError("the connection was lost")

    monkeypatch.setattr(engine.dialect, "do_commit", do_commit)
    log.start()
    until(lambda: not log.behind_bytes)
    log.stop()

    assert lost
    with engine.connect() as connection:
        assert len(connection.execute(feedback.select()).all()) == 2
