"""Several processes of the gateway are one: each change holds in all, and one that ends costs nothing."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.unit.gateway.models import STEPS, Models, route, serving, split
from tests.unit.gateway.postgres import postgres_url
from tests.unit.gateway.processes import Gateway, Load, Loading, running, until


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        made.add("2", 2)
        made.add("slow", 3, seconds=1.5)
        yield made


@pytest.fixture(scope="module", params=["two workers on SQLite", "two workers on PostgreSQL", "two gateways"])
def gateways(
    request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gateway]]:
    """One gateway of two processes, or two of one process with one database."""
    folder = tmp_path_factory.mktemp("gateways")
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'gateway.db'}"
        if request.param != "two workers on SQLite":
            url = stack.enter_context(postgres_url())
        each = 2 if request.param == "two gateways" else 1
        yield [stack.enter_context(running(models, folder, url, workers=3 - each)) for _ in range(each)]


@contextmanager
def load_on(gateway: Gateway, connections: int = 8) -> Iterator[Load]:
    loading = Loading(gateway.port, connections)
    thread = threading.Thread(target=loading.run)
    thread.start()
    try:
        time.sleep(0.3)
        yield loading.found
    finally:
        loading.stop()
        thread.join(20)


def answered_by(gateways: list[Gateway], requests_each: int = 8) -> set[Any]:
    """The versions that answer over many new connections to each gateway at once."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(gateway.predict) for gateway in gateways for _ in range(requests_each)]
        return {one.result().json()["model_version"] for one in asked}


def test_a_change_holds_in_every_process_when_it_is_answered(gateways: list[Gateway]) -> None:
    for turn in range(6):
        for changing in gateways:
            changing.put(route("1"))
            assert answered_by(gateways) == {"1"}
            if turn % 2:
                changing.put(route("2"))
                assert answered_by(gateways) == {"2"}
                continue
            changing.internal("PUT", "/splits/m", json=split("2", share=1.0))
            assert answered_by(gateways) == {"2"}
            changing.internal("DELETE", "/splits/m")
            assert answered_by(gateways) == {"1"}


def test_after_a_rollback_no_request_gets_the_version_that_was(gateways: list[Gateway]) -> None:
    gateways[0].put(route("2"))
    with ExitStack() as stack:
        loads = [stack.enter_context(load_on(gateway)) for gateway in gateways]
        asked = time.monotonic()
        gateways[-1].put(route("1"))
        done = time.monotonic()
        time.sleep(0.3)

    answers = sorted(answer for load in loads for answer in load.answers)
    assert [load.faults for load in loads] == [[] for _ in loads]
    last_of_2 = max(sent for sent, version in answers if version == "2")
    print(
        f"rollback: {done - asked:.3f} s until answered, {last_of_2 - asked:.3f} s to the last request of 2"
    )
    assert last_of_2 < done
    assert done - asked < 1, "0.1 s is the goal on a quiet machine"


def test_requests_of_every_process_are_in_flight(gateways: list[Gateway]) -> None:
    gateways[0].put(route("slow"))
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(gateway.predict) for gateway in gateways for _ in range(12 // len(gateways))]
        time.sleep(0.5)
        gateways[0].put(route("1"))

        counts = [
            gateway.internal("GET", "/routes/m/in_flight")["in_flight"]
            for gateway in gateways
            for _ in range(8)
        ]

        assert [one.result().status_code for one in asked] == [200] * 12
    assert counts == [{"slow": 12}] * len(counts)
    until(lambda: gateways[0].internal("GET", "/routes/m/in_flight")["in_flight"] == {}, "the end", 10)


def test_a_label_for_what_another_process_has_just_told_is_taken(gateways: list[Gateway]) -> None:
    gateways[0].put(route("1"))
    for turn in range(30):
        told = gateways[turn % len(gateways)].predict().json()["predictions"][0]["prediction_id"]
        label = {"feedback": [{"prediction_id": told, "label": 1}]}
        url = f"{gateways[(turn + 1) % len(gateways)].url}/v1/models/m/feedback"
        answer = requests.post(url, json=label, timeout=30)
        assert answer.status_code == 202, answer.text


def test_a_reader_of_the_log_misses_no_row_that_any_process_writes(gateways: list[Gateway]) -> None:
    gateways[0].put(route("1"))
    after = gateways[0].internal("GET", "/log/predictions?model=m")["last_sequence"]
    seen: list[str] = []

    def read() -> None:
        nonlocal after
        found = gateways[0].internal("GET", f"/log/predictions?model=m&after={after}&limit=50")
        seen.extend(row["prediction_id"] for row in found["rows"])
        after = found["last_sequence"]

    with ExitStack() as stack:
        loads = [stack.enter_context(load_on(gateway)) for gateway in gateways]
        for _ in range(40):
            read()
            time.sleep(0.02)
    told = {prediction_id for load in loads for prediction_id in load.ids}
    for _ in range(200):
        read()
        if told <= set(seen):
            break
    assert len(told) > 100
    assert told <= set(seen)


# --- one of two workers ends --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway of two workers."""
    folder = tmp_path_factory.mktemp("pair")
    with running(models, folder, f"sqlite:///{folder / 'gateway.db'}") as gateway:
        gateway.put(route("1"))
        yield gateway


def another(pair: Gateway, ended: psutil.Process) -> bool:
    workers = pair.workers()
    return len(workers) == 2 and ended not in workers


def test_no_request_fails_when_a_worker_is_told_to_end(pair: Gateway) -> None:
    victim = pair.workers()[0]
    with load_on(pair, connections=16) as load:
        until(lambda: pair.connections_of(victim), "its connections")
        victim.send_signal(signal.SIGTERM)
        until(lambda: another(pair, victim), "another worker")
        time.sleep(1)

    assert load.faults == []
    assert len(load.answers) > 100


def test_a_killed_worker_breaks_its_own_connections_alone_and_loses_no_row(pair: Gateway) -> None:
    pair.put(route("1"))
    victim, other = pair.workers()

    def shares() -> list[int]:
        return [pair.connections_of(each) for each in (victim, other)]

    with load_on(pair, connections=16) as load:
        until(lambda: all(spread := shares()) and sum(spread) == 16, "all connections, some to each")
        had = pair.connections_of(victim)
        victim.kill()
        started = time.monotonic()
        pair.put(route("2"))
        changed = time.monotonic() - started
        assert answered_by([pair]) == {"2"}
        until(lambda: another(pair, victim), "another worker")
        time.sleep(0.5)

    assert len(load.faults) <= had
    assert changed < 1, "nobody waits for a process that is dead"
    until(lambda: set(load.ids) <= ids_of(pair), "the rows that the killed one told", 15)


def ids_of(gateway: Gateway) -> set[str]:
    rows = gateway.internal("GET", "/log/predictions?model=m&limit=10000&after=0")["rows"]
    return {row["prediction_id"] for row in rows}


def test_a_worker_that_stands_still_holds_a_change_up_for_a_second_at_most(pair: Gateway) -> None:
    pair.put(route("1"))
    victim = pair.workers()[0]
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        answer = requests.put(f"{pair.url}/internal/routes/m", json=route("2"), headers=STEPS, timeout=20)
        seconds = time.monotonic() - started
    finally:
        os.kill(victim.pid, signal.SIGCONT)
    assert (answer.status_code, seconds < 4) == (200, True), "one second, and what a busy machine adds"
    until(lambda: answered_by([pair]) == {"2"}, "the one that stood still to follow", 15)


def test_the_counts_of_all_workers_are_told_by_each(pair: Gateway) -> None:
    def counted() -> float:
        name = 'perennial_gateway_predictions_total{model="m",model_version="1"} '
        lines = requests.get(f"{pair.url}/metrics", timeout=5).text.splitlines()
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)

    pair.put(route("1"))
    before = counted()
    with load_on(pair) as load:
        until(lambda: len(load.answers) > 50, "answers")
    assert {counted() - before for _ in range(8)} == {len(load.answers)}


def test_workers_end_with_the_process_that_started_them(models: Models, tmp_path: Path) -> None:
    with running(models, tmp_path, f"sqlite:///{tmp_path / 'gateway.db'}") as gateway:
        workers = gateway.workers()
        gateway.process.kill()
        psutil.wait_procs(workers, timeout=15)
        assert [worker.is_running() for worker in workers] == [False, False]
