"""Connections that somebody holds without a request that gets ahead, over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from perennial_gateway import slow
from perennial_gateway.connections import Connection

HEAD = b"POST / HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n"
IDLE_SECONDS = 1


async def refusing(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer without a look at the body, as is done where there is no token."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """To a server that waits 0.5 s for what is on its way, and lets a connection idle for a second."""
    monkeypatch.setattr(slow, "HEAD_SECONDS", 0.5)
    config = uvicorn.Config(
        refusing,
        port=0,
        http=Connection,
        lifespan="off",
        log_level="critical",
        timeout_keep_alive=IDLE_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as made:
        yield made
    server.should_exit = True
    thread.join(10)


def answered(connection: socket.socket) -> None:
    read = b""
    while not read.endswith(b"no"):
        read += connection.recv(1000)
    assert read.startswith(b"HTTP/1.1 401")


def closed_after(connection: socket.socket) -> float:
    began = time.monotonic()
    assert connection.recv(1) == b""
    return time.monotonic() - began


def test_a_body_that_trickles_in_after_its_answer_holds_no_connection(connection: socket.socket) -> None:
    connection.sendall(HEAD % 1_000_000)
    answered(connection)
    began = time.monotonic()
    try:
        for _ in range(40):
            connection.sendall(b"a")
            time.sleep(0.1)
    except OSError:
        pass
    assert time.monotonic() - began < 3


def test_one_byte_after_the_answer_holds_no_connection(connection: socket.socket) -> None:
    connection.sendall(HEAD % 1_000_000)
    answered(connection)
    connection.sendall(b"a")
    assert closed_after(connection) < 3


def test_a_body_that_comes_whole_after_its_answer_leaves_the_connection_of_use(
    connection: socket.socket,
) -> None:
    for _ in range(3):
        connection.sendall(HEAD % 10)
        answered(connection)
        connection.sendall(b"a" * 4)
        connection.sendall(b"a" * 6)
        time.sleep(0.7)  # longer than a body may be on its way
    assert closed_after(connection) < 3, "it is idle now"
