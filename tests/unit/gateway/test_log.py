"""What was answered is in the log once, whoever is killed and whenever, and whatever its database does."""

import asyncio
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway import mover
from perennial_gateway.database import connect, predictions, spools
from perennial_gateway.log import DurableLog
from perennial_gateway.web import Refused

MEBIBYTE = 1 << 20


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "prediction_id": str(number),
        "model": "m",
        "predicted_at": "now",
        "model_version": "1",
        "run_id": "r",
        "features": '{"text": "a \\"quoted\\" \\u0000 line\\n"}',
        "prediction": "1",
        "score": 0.1,
        **more,
    }


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def ids(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(
            connection.scalars(sa.select(predictions.c.prediction_id).order_by(predictions.c.sequence))
        )


def append(log: DurableLog, *numbers: int) -> None:
    async def together() -> None:
        await asyncio.gather(*(log.append("predictions", [row(number)]) for number in numbers))

    asyncio.run(together())


@pytest.mark.parametrize("synced", [False, True])
def test_every_row_is_in_the_database_as_it_was_and_in_order(
    engine: sa.Engine, folder: Path, synced: bool
) -> None:
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE, synced=synced)
    log.start()
    append(log, *range(1000))

    kept = log.read("predictions", "m", 0, 2000)
    log.stop()

    assert [each["prediction_id"] for each in kept] == [str(number) for number in range(1000)]
    assert kept[0]["features"] == {"text": 'a "quoted" \0 line\n'}
    assert (kept[0]["score"], kept[0]["prediction"], kept[0]["sent_by"]) == (0.1, 1, None)
    assert not list(folder.iterdir())


def test_requests_are_answered_while_the_database_takes_nothing_and_their_rows_come_later(
    engine: sa.Engine, folder: Path
) -> None:
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    log.start()
    append(log, 1)
    log.settle()
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE predictions RENAME TO away"))

    append(log, 2, 3)
    log.settle()

    assert "no such table" in log.fault
    assert log.behind_bytes > 0
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO predictions"))
    log.settle()
    assert (ids(engine), log.fault, log.behind_bytes) == (["1", "2", "3"], "", 0)
    log.stop()


def test_a_full_spool_refuses_what_it_cannot_keep_and_keeps_the_rest(engine: sa.Engine, folder: Path) -> None:
    log = DurableLog(engine, folder, most_bytes=1000)  # not started: nothing is moved
    append(log, 1)

    with pytest.raises(Refused) as refused:
        append(log, *range(2, 20))

    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
    append(log, 20)
    log.start()
    log.stop()
    assert ids(engine) == ["1", "20"]


def test_a_row_that_the_database_refuses_is_kept_aside_and_its_neighbours_arrive(
    engine: sa.Engine, folder: Path
) -> None:
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    append(log, 1, 2, 2, 3)
    log.start()
    log.stop()

    [aside] = folder.glob("*.refused")
    assert b'"prediction_id":"2"' in aside.read_bytes()
    assert ids(engine) == ["1", "2", "3"]


def test_a_spool_that_has_grown_is_replaced_and_no_row_is_lost(
    engine: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "ROTATE_BYTES", 2000)
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    log.start()
    first = next(folder.iterdir())
    for start in range(0, 200, 20):
        append(log, *range(start, start + 20))
        log.settle()

    until(lambda: len(list(folder.iterdir())) == 1)
    assert not first.exists()
    log.stop()
    assert ids(engine) == [str(number) for number in range(200)]
    with engine.connect() as connection:
        assert connection.execute(spools.select()).all() == []


def test_with_power_every_append_is_synced_and_those_of_one_moment_share_a_sync(
    engine: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    really = os.fdatasync

    def fdatasync(file: int) -> None:
        really(file)
        time.sleep(0.02)  # a slow disk: what comes meanwhile waits for the sync that follows
        synced.append(os.fstat(file).st_size)

    async def one_by_one_then_many(log: DurableLog) -> None:
        for number in range(3):
            await log.append("predictions", [row(number)])
            assert synced[-1] == log.behind_bytes, f"append {number} was answered before it was synced"
        many = []
        for number in range(3, 43):
            many.append(asyncio.ensure_future(log.append("predictions", [row(number)])))
            await asyncio.sleep(0.002)
        await asyncio.wait_for(asyncio.gather(*many), 10)

    log = DurableLog(engine, folder, most_bytes=MEBIBYTE, synced=True)  # not started: nothing is moved
    monkeypatch.setattr(os, "fdatasync", fdatasync)

    asyncio.run(one_by_one_then_many(log))

    assert synced[-1] == log.behind_bytes
    assert 3 < len(synced) < 20


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_a_process(does: Callable[..., None], *arguments: Any) -> multiprocessing.Process:
    child = multiprocessing.get_context("spawn").Process(target=does, args=arguments)
    child.start()
    return child


def append_and_be_killed(url: str, folder: Path, most: int) -> None:
    """Append, let some of it be moved, append again, and end as by `kill -9`."""
    log = DurableLog(connect(url), folder, most_bytes=MEBIBYTE)
    log.start()
    append(log, *range(most))
    log.settle()
    append(log, *range(most, 2 * most))
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_rows_of_a_killed_process_are_moved_by_another_each_once(engine: sa.Engine, folder: Path) -> None:
    child = in_a_process(append_and_be_killed, str(engine.url), folder, 500)
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    [left] = folder.glob("*.spool")
    with left.open("ab") as file:
        file.write(b'p{"prediction_id": "torn')  # killed in the middle of a write

    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    log.start()
    log.stop()

    assert ids(engine) == [str(number) for number in range(1000)]
    assert not list(folder.iterdir())


def hold_a_spool(url: str, folder: Path, ready: Any, end: Any) -> None:
    log = DurableLog(connect(url), folder, most_bytes=MEBIBYTE)
    append(log, 1)  # not started: its own mover is slow
    ready.set()
    end.wait(60)
    log.start()
    log.stop()


def test_the_spool_of_a_living_process_is_left_to_it(engine: sa.Engine, folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    child = in_a_process(hold_a_spool, str(engine.url), folder, ready, end)
    assert ready.wait(60)

    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    log.start()
    append(log, 2)
    log.stop()

    assert ids(engine) == ["2"]
    end.set()
    child.join(60)
    assert ids(engine) == ["2", "1"]


def fill_the_disk(url: str, folder: Path, told: Any) -> None:
    log = DurableLog(connect(url), folder, most_bytes=MEBIBYTE)
    append(log, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log._mover.spool.end + 10, resource.RLIM_INFINITY))
    try:
        append(log, 2)
    except Refused as refused:
        told.put(refused.status)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    append(log, 3)
    log.start()
    log.stop()


def test_what_a_full_disk_takes_half_of_is_refused_and_leaves_no_half(
    engine: sa.Engine, folder: Path
) -> None:
    told = multiprocessing.get_context("spawn").Queue()
    child = in_a_process(fill_the_disk, str(engine.url), folder, told)
    child.join(60)

    assert (told.get(timeout=5), child.exitcode) == (503, 0)
    assert ids(engine) == ["1", "3"]


def test_many_threads_read_while_rows_come_and_miss_none(engine: sa.Engine, folder: Path) -> None:
    log = DurableLog(engine, folder, most_bytes=MEBIBYTE)
    log.start()
    seen: list[str] = []

    def follow() -> None:
        after = 0
        while len(seen) < 600:
            for each in log.read("predictions", "m", after, 50):
                seen.append(each["prediction_id"])
                after = each["sequence"]

    reader = threading.Thread(target=follow)
    reader.start()
    for number in range(600):
        append(log, number)
    reader.join(30)
    log.stop()

    assert seen == [str(number) for number in range(600)]


def test_under_steady_load_spools_are_replaced_those_of_others_adopted_and_nothing_is_refused(
    engine: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "ROTATE_BYTES", 20_000)
    monkeypatch.setattr(mover, "ADOPT_SECONDS", 0.2)
    sa.event.listen(engine, "commit", lambda _: time.sleep(0.02))  # something has always come meanwhile
    log = DurableLog(engine, folder, most_bytes=300_000)
    first = next(folder.iterdir())
    log.start()
    appended: list[int] = []
    enough = threading.Event()

    async def append_all_the_time() -> None:
        while not enough.is_set():
            number = len(appended)
            await log.append("predictions", [row(number)])
            appended.append(number)
            await asyncio.sleep(0.001)

    load = threading.Thread(target=asyncio.run, args=(append_all_the_time(),))
    load.start()
    child = in_a_process(append_and_be_killed_at_once, str(engine.url), folder)
    child.join(60)
    [left] = [path for path in folder.glob("*.spool") if "killed" in path.read_text()]
    until(lambda: not left.exists() and not first.exists() and len(appended) > 3000)
    during = load.is_alive()
    enough.set()
    load.join(10)
    log.stop()

    assert during, "a row was refused"
    assert sorted(ids(engine), key=lambda each: (each != "killed", each.zfill(9))) == [
        "killed",
        *map(str, appended),
    ]
    assert not list(folder.iterdir())


def append_and_be_killed_at_once(url: str, folder: Path) -> None:
    log = DurableLog(connect(url), folder, most_bytes=MEBIBYTE)
    asyncio.run(log.append("predictions", [row(0, prediction_id="killed")]))
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_is_synced_is_the_spool_that_was_appended_to_though_another_has_replaced_it(
    engine: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "ROTATE_BYTES", 1000)
    of = mover.Mover(engine, folder, MEBIBYTE)
    of.append(b"p1\n" * 1000)
    before, of._place = of.spool, 2000
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)

    of._rotate()
    of.sync()

    assert of.spool is not before
    assert before._file.fileno() in synced
