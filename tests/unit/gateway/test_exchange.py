"""Predictions over real sockets, however their bytes come: whole, in pieces, in a row, or too many."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.models import Models, route, serving
from tests.unit.gateway.processes import BODY, REQUEST, Gateway, running

WHOLE = REQUEST % (len(BODY), BODY)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("exchange")
    with serving() as models, running(models, folder, f"sqlite:///{folder / 'g.db'}", workers=1) as made:
        _with_versions(models)
        made.put(route("1"))
        yield made


def _with_versions(models: Models) -> None:
    models.add("1", 1)


@pytest.fixture
def connection(gateway: Gateway) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as made:
        yield made


def answer_on(connection: socket.socket) -> tuple[HTTPResponse, Any]:
    """The next answer, where no other follows it yet."""
    response = HTTPResponse(connection)
    response.begin()
    return response, json.loads(response.read())


def test_an_answer_comes_in_one_piece_with_its_date(connection: socket.socket) -> None:
    connection.sendall(WHOLE)
    piece = connection.recv(1 << 16)

    head, _, body = piece.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert json.loads(body)["predictions"][0]["prediction"] == 1
    assert f"content-length: {len(body)}".encode() in lines
    assert any(line.startswith(b"date: ") for line in lines)
    assert b"content-type: application/json" in lines


@pytest.mark.parametrize("cut", [1, 40, len(WHOLE) - len(BODY), len(WHOLE) - 1])
def test_a_request_in_pieces_is_answered(connection: socket.socket, cut: int) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(2):
        connection.sendall(WHOLE[:cut])
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        connection.sendall(WHOLE[cut:])
        response, document = answer_on(connection)
        assert response.status == 200
        assert document["predictions"][0]["prediction"] == 1


def test_requests_one_behind_another_are_answered_in_turn(connection: socket.socket) -> None:
    strange = REQUEST % (3, b"{}]")
    connection.sendall(WHOLE + strange + WHOLE + WHOLE)
    read = b""
    while read.count(b"HTTP/1.1 ") < 4 or not read.endswith(b"}"):
        read += connection.recv(1 << 16)
    assert [part[:3] for part in read.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200", b"200"]


def test_a_whole_body_that_is_too_large_is_refused_and_the_next_is_answered(
    connection: socket.socket,
) -> None:
    large = json.dumps({"instances": [{"text": "a" * (1 << 20)}]}).encode()
    connection.sendall(REQUEST % (len(large), large))
    response, document = answer_on(connection)
    assert response.status == 413
    assert "larger than 1048576 bytes" in document["error"]
    connection.sendall(WHOLE)
    assert answer_on(connection)[0].status == 200


def test_a_caller_that_does_not_keep_its_connection_is_told_so(connection: socket.socket) -> None:
    connection.sendall(WHOLE.replace(b"host: g\r\n", b"host: g\r\nconnection: close\r\n"))
    response, _ = answer_on(connection)
    assert response.status == 200
    assert response.getheader("connection") == "close"
    assert connection.recv(1) == b""


def test_an_answer_of_a_trace_tells_it(connection: socket.socket) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    connection.sendall(WHOLE.replace(b"host: g\r\n", f"host: g\r\ntraceparent: {parent}\r\n".encode()))
    response, _ = answer_on(connection)
    assert response.getheader("traceparent") == parent


def test_a_caller_that_reads_nothing_does_not_hold_up_another(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.5)
        with suppress(TimeoutError):
            while True:
                deaf.sendall(WHOLE * 200)
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as other:
            other.sendall(WHOLE)
            assert answer_on(other)[0].status == 200
