"""Callers who take their time: their connections are closed."""

import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
import requests

from embedded.ports import free_port
from tests.services.conftest import PROJECT, Model, Platform, Service, until
from tests.services.test_gateway_fuzz import TOKEN
from tests.services.test_gateway_hostile import head, raw

SECONDS = 3.0
USUAL_SECONDS = 20.0
"""What a gateway waits for a head; one for a body or for a reader waits longer."""


@pytest.fixture(scope="module")
def impatient(
    services: Platform, steady: Model, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Another gateway, with records of its own, which waits for `SECONDS` instead of 20 or 30."""
    folder, port = tmp_path_factory.mktemp("impatient"), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = services.gateway.environment | {
        "PERENNIAL_GATEWAY_PORT": str(port),
        "PERENNIAL_GATEWAY_DATABASE_URL": f"sqlite:///{folder / 'gateway.db'}",
        "PERENNIAL_PREDICTION_TOKENS": f"fuzz={TOKEN}",
    }
    script = PROJECT / "tests" / "services" / "impatient_gateway.py"
    command = [services.gateway.command[0], "-P", str(script), str(SECONDS)]
    gateway = Service(
        command, environment, folder / "log", lambda: requests.get(f"{url}/healthz", timeout=5).ok
    )
    made = replace(services, gateway=gateway, gateway_url=url)
    gateway.start()
    route = services.internal("GET", f"/routes/{steady.name}").json()
    assert made.internal("PUT", f"/routes/{steady.name}", json=route).ok
    yield made
    gateway.stop()


def connections(platform: Platform) -> int:
    assert platform.gateway.process is not None
    found = psutil.Process(platform.gateway.process.pid).net_connections("tcp")
    port = int(platform.gateway_url.rpartition(":")[2])
    return sum(each.status == "ESTABLISHED" and each.laddr.port == port for each in found)


def test_a_head_that_does_not_come_to_its_end_is_waited_for_no_longer_than_it_may(
    impatient: Platform,
) -> None:
    began = time.monotonic()
    heads = (b"", b"GET / HTTP/1.1\r\nX-Slow: ", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET")
    waiting = [raw(impatient, each) for each in heads]
    for connection in waiting:
        with connection:
            while connection.recv(1000):
                pass
            assert SECONDS - 1 < time.monotonic() - began < USUAL_SECONDS


def test_a_body_that_does_not_come_and_an_answer_that_is_not_read_are_waited_for_no_longer_than_they_may(
    impatient: Platform, steady: Model
) -> None:
    before = connections(impatient)
    page = f"GET /openapi.json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with (
        raw(impatient, page * 3000) as unread,
        raw(impatient, head(steady, "Content-Length: 9"), b"{") as slow,
    ):
        slow.settimeout(60)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        until(
            lambda: connections(impatient) <= before + 1, what="the connection of the unread answers to end"
        )
        assert unread.fileno() > 0
