"""The client of serving backends, over real sockets: what it keeps, and what it gives up."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from perennial_gateway.backends import http_client
from perennial_gateway.backends.base import Unreached
from perennial_gateway.backends.http_client import HttpClient

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENT_SECONDS = 60


class Server:
    """It sends what it is told to after each request, in pieces, and hangs up where a piece is empty.

    Attributes:
        requests: Each with the number of its connection.
    """

    def __init__(self) -> None:
        self.pieces = [OK]
        self.waits = asyncio.Event()
        self.waits.set()
        self.requests: list[tuple[int, bytes]] = []
        self.connections: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.connections)
        self.connections.append(writer)
        while head := await read_head(reader):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            self.requests.append((number, head + await reader.readexactly(length)))
            await self.waits.wait()
            for piece in self.pieces:
                if not piece:
                    writer.close()
                    return
                writer.write(piece)
                await asyncio.sleep(0.01)
        writer.close()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def run(scenario: Callable[[Server, HttpClient], Awaitable[None]], below: str = "") -> None:
    async def all_of_it() -> None:
        server = Server()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        client = HttpClient(f"http://127.0.0.1:{port}{below}")
        async with asyncio.timeout(PATIENT_SECONDS):
            await scenario(server, client)
        client.close()
        listening.close()

    asyncio.run(all_of_it())


async def until(true: Callable[[], bool]) -> None:
    """`run` gives up in the end."""
    while not true():
        await asyncio.sleep(0.01)


async def ask(client: HttpClient, body: bytes = b"x") -> tuple[int, bytes]:
    return await client.ask("POST", "/predict", {"Authorization": "Bearer k"}, body)


def test_a_request_is_whole_and_below_the_address_and_its_connection_is_kept() -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        assert [await ask(client) for _ in range(3)] == [(200, b"ok")] * 3
        assert [number for number, _ in server.requests] == [0, 0, 0]
        lines = server.requests[0][1].split(b"\r\n")
        assert lines[0] == b"POST /below/predict HTTP/1.1"
        assert {b"Authorization: Bearer k", b"Content-Length: 1"} <= set(lines)
        assert lines[1].startswith(b"Host: 127.0.0.1:")
        assert lines[-1] == b"x"

    run(scenario, below="/below/")


@pytest.mark.parametrize(
    "pieces",
    [
        [OK[:20], OK[20:-1], OK[-1:]],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"],
    ],
)
def test_an_answer_in_pieces_or_chunks_is_read_whole(pieces: list[bytes]) -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        server.pieces = pieces
        assert [await ask(client) for _ in range(2)] == [(200, b"ok")] * 2
        assert len(server.connections) == 1

    run(scenario)


def test_calls_at_once_have_a_connection_each() -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        server.waits.clear()
        asked = [asyncio.create_task(ask(client, b"%d" % number)) for number in range(3)]
        await until(lambda: len(server.requests) == 3)
        server.waits.set()
        assert await asyncio.gather(*asked) == [(200, b"ok")] * 3
        assert len(server.connections) == 3
        await ask(client)
        assert len(server.connections) == 3

    run(scenario)


def test_a_connection_that_ends_is_not_asked_on_again() -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        server.pieces = [OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")]
        assert await ask(client) == (200, b"ok")
        server.pieces = [OK]
        assert await ask(client) == (200, b"ok")
        server.connections[1].close()
        await until(lambda: not client._idle[-1].lasts)
        assert await ask(client) == (200, b"ok")
        assert [number for number, _ in server.requests] == [0, 1, 2]

    run(scenario)


def test_a_connection_that_was_idle_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        await ask(client)
        monkeypatch.setattr(http_client, "KEPT_SECONDS", -1.0)
        await ask(client)
        assert [number for number, _ in server.requests] == [0, 1]

    run(scenario)


def test_an_answer_that_nobody_waits_for_any_more_is_not_given_to_the_next() -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        server.waits.clear()
        gone = asyncio.create_task(ask(client))
        await until(lambda: bool(server.requests))
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        server.waits.set()
        assert await ask(client) == (200, b"ok")
        assert [number for number, _ in server.requests] == [0, 1]

    run(scenario)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([b""], "hung up before its answer was whole"),
        ([OK[:-1], b""], "hung up before its answer was whole"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "does not answer in HTTP"),
    ],
)
def test_what_is_no_answer_is_told_and_its_connection_given_up(pieces: list[bytes], said: str) -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        server.pieces = pieces
        with pytest.raises(Unreached, match=said):
            await ask(client)
        server.pieces = [OK]
        assert await ask(client) == (200, b"ok")
        assert len(server.connections) == 2

    run(scenario)


def test_what_is_sent_unasked_ends_the_connection() -> None:
    async def scenario(server: Server, client: HttpClient) -> None:
        await ask(client)
        server.connections[0].write(OK.replace(b"ok", b"no"))
        await until(lambda: not client._idle[-1].lasts)
        assert await ask(client) == (200, b"ok")
        assert len(server.connections) == 2

    run(scenario)


def test_a_server_that_is_not_there_is_named_unreached() -> None:
    async def scenario(_server: Server, _client: HttpClient) -> None:
        with pytest.raises(Unreached, match="cannot be reached"):
            await ask(HttpClient("http://127.0.0.1:1"))

    run(scenario)
