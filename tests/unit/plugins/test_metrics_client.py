"""Airflow's numbers reach an exporter that comes later, goes, and comes back at another address."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from plugins import metrics_client
from plugins.metrics_client import FindingClient

NAME = "statsd-exporter"
ask = socket.getaddrinfo


class Names(dict[str, str]):
    """The addresses that a name server of containers knows now; it stands in for Docker's."""

    def answer(self, host: str, *more: Any) -> Any:
        if host not in self:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(self[host], *more)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    known = Names()
    monkeypatch.setattr(socket, "getaddrinfo", known.answer)
    monkeypatch.setattr(metrics_client, "AGAIN_SECONDS", 0.05)
    return known


@contextmanager
def exporter(address: str, port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((address, port))
        listening.settimeout(0.05)
        yield listening


def heard(client: FindingClient, listening: socket.socket, name: str) -> bytes:
    """What the exporter gets of a count that is told again and again."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        client.incr(name)
        try:
            return listening.recv(512)
        except TimeoutError:
            continue
    raise AssertionError(f"{name} was not heard")


def test_a_process_that_starts_before_the_exporter_is_heard_by_it(names: Names) -> None:
    with exporter("127.0.0.1") as listening:
        client = FindingClient(NAME, listening.getsockname()[1], prefix="airflow")
        client.incr("early")
        names[NAME] = "127.0.0.1"
        assert heard(client, listening, "late") == b"airflow.late:1|c"


def test_an_exporter_that_comes_back_at_another_address_is_found(names: Names) -> None:
    names[NAME] = "127.0.0.1"
    with exporter("127.0.0.1") as first:
        port = first.getsockname()[1]
        client = FindingClient(NAME, port)
        client.incr("first")
        assert first.recv(512) == b"first:1|c"
    names[NAME] = "127.0.0.2"
    with exporter("127.0.0.2", port) as second:
        assert heard(client, second, "second") == b"second:1|c"


def test_telling_nobody_neither_raises_nor_waits_for_a_name_server(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def in_vain(*_: Any) -> None:
        assert answers.wait(120)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    client = FindingClient(NAME, 9125)
    monkeypatch.setattr(socket, "getaddrinfo", in_vain)
    monkeypatch.setattr(metrics_client, "AGAIN_SECONDS", 0.0)
    before = set(threading.enumerate())
    client.incr("a")
    client.gauge("b", 1)
    asking = set(threading.enumerate()) - before
    assert asking
    answers.set()
    for thread in asking:
        thread.join(60)
        assert not thread.is_alive()
