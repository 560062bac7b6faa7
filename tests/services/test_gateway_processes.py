"""Several processes of one gateway: what happens to the others while one of them starts, or dies."""

import signal
import time
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.services.conftest import Model, Platform, until


def workers(parent: int) -> list[psutil.Process]:
    """Those that run."""
    found = []
    for each in psutil.Process(parent).children():
        try:
            if "spawn_main" in " ".join(each.cmdline()) and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except psutil.NoSuchProcess:
            pass
    return found


@pytest.fixture(scope="module")
def parent(services: Platform, steady: Model) -> Iterator[int]:
    """The parent of two processes of the gateway."""
    with services.listening(GATEWAY_WORKERS="2"):
        assert services.gateway.process is not None
        yield services.gateway.process.pid


@pytest.fixture
def two(parent: int) -> int:
    """The parent, of two processes that run."""
    until(lambda: len(workers(parent)) == 2, what="two processes")
    return parent


def successor_killed_while_it_starts(parent: int) -> psutil.Process:
    """The process that is left when one of two was killed, and the one that took its place, too."""
    first, second = workers(parent)
    first.kill()

    def successors() -> set[int]:
        return {each.pid for each in workers(parent)} - {first.pid, second.pid}

    until(successors, what="a successor")
    time.sleep(1)  # it imports, and the parent has asked it
    for successor in successors():
        psutil.Process(successor).kill()
    return second


def test_a_process_that_dies_while_it_starts_keeps_nobody_from_replacing_another(
    platform: Platform, steady: Model, two: int
) -> None:
    other = successor_killed_while_it_starts(two)
    other.kill()
    began = time.monotonic()
    url = f"{platform.gateway_url}/v1/models/{steady.name}/predict"

    def answers() -> bool:
        body = {"instances": [{"text": "a"}]}
        return requests.post(url, json=body, timeout=2).status_code == 200

    until(answers, seconds=55, what="an answer")
    assert time.monotonic() - began < 40, "uvicorn's own parent is blind for a minute"


def test_a_stop_waits_for_no_process_that_died_while_it_started(platform: Platform, two: int) -> None:
    successor_killed_while_it_starts(two)
    assert platform.gateway.process is not None
    began = time.monotonic()
    platform.gateway.process.send_signal(signal.SIGTERM)
    platform.gateway.process.wait(55)
    assert time.monotonic() - began < 30
