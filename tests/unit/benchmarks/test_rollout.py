"""The load of benchmarks/rollout.py and its table: what is sent again, what has failed, and what is said."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from benchmarks.rollout_table import Window
from tests.services.conftest import Load, _ask

ANSWER = b'{"run_id": "run-1", "predictions": [{"prediction_id": "p-1"}]}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(ANSWER),
    ANSWER,
)
Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(answers: list[bytes]) -> Server:
    """Gives each connection the next of these, and ends it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}]}")
        writer.write(answers.pop(0))
        writer.close()

    return serve


def asked(answers: list[bytes], *, tries: int) -> Load:
    load = Load()

    async def ask() -> None:
        server = await asyncio.start_server(answering(answers), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, aiohttp.ClientSession() as session:
            await _ask(session, f"http://127.0.0.1:{port}/", [{"text": "load"}], load, tries)

    asyncio.run(ask())
    return load


def test_a_request_whose_connection_ends_before_any_answer_is_sent_once_more() -> None:
    load = asked([b"", WHOLE], tries=2)

    assert (len(load.answers), load.resets, load.faults) == (1, 1, [])
    assert load.asked == {"p-1": {"text": "load"}}


@pytest.mark.parametrize(
    ("answers", "tries"), [([b""], 1), ([b"", b""], 2), ([WHOLE[:-5]], 2)], ids=["alone", "twice", "begun"]
)
def test_it_has_failed_where_that_is_not_so(answers: list[bytes], tries: int) -> None:
    load = asked(answers, tries=tries)

    assert (len(load.answers), len(load.faults)) == (0, 1)
    assert answers == []


def test_a_row_says_what_failed_and_the_median_of_what_was_measured() -> None:
    window = Window(asked=1200, resets=3)
    for seconds in (0.5, 0.1, 0.2):
        window.took("to the first answer", seconds)
    window.failures.update(["HTTP 504", "HTTP 504"])

    said = "to the first answer 0.20 s (0.10-0.50); 2 HTTP 504"
    assert window.row("a promotion") == f"| a promotion | 1,200 | 2 | 3 | {said} |"
