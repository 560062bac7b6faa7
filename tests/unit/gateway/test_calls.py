"""Calls to a server that hangs, and calls of many large instances, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from perennial_gateway.backends.base import CALL_BYTES
from perennial_gateway.backends.batcher import Batcher
from perennial_gateway.backends.replicas import GRACE_SECONDS, Replicas
from perennial_gateway.backends.torchserve import TorchServe
from perennial_gateway.metrics import OfVersion
from perennial_gateway.routes import Route
from perennial_gateway.web import Refused

from tests.unit.gateway.models import route

TAKES_BYTES = 2_097_152
"""As TorchServe is set to."""


class Server:
    """It answers in TorchServe's place, unless it is told to hang, and knows how large the calls were."""

    def __init__(self) -> None:
        self.hangs = False
        self.sizes: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.sizes.append(len(body))
        while self.hangs:
            await asyncio.sleep(0.05)
        return web.json_response([{"prediction": 1, "score": 0.5} for _ in json.loads(body)])


@asynccontextmanager
async def batcher_of(server: Server, key_file: Path) -> AsyncIterator[Batcher]:
    app = web.Application(client_max_size=TAKES_BYTES)
    app.router.add_post("/predictions/m/1", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    key_file.write_text('{"inference": {"key": "none"}}')
    backend = Replicas([TorchServe(f"http://127.0.0.1:{port}", key_file)])
    told = {**route("1"), "batches": True, "batch_size": 32, "timeout_seconds": 0.1}
    yield Batcher(backend, Route.model_validate(told), OfVersion("m", "1"))
    await backend.close()
    await runner.cleanup()


def run(key_file: Path, scenario: Callable[[Server, Batcher], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        server = Server()
        async with batcher_of(server, key_file) as batcher:
            await scenario(server, batcher)

    asyncio.run(all_of_it())


def test_a_server_that_went_away_without_a_word_costs_no_calls_for_ever(tmp_path: Path) -> None:
    async def scenario(server: Server, batcher: Batcher) -> None:
        server.hangs = True
        for _ in range(20):
            asked = [batcher.ask([{"text": "a"}], {}, 0.1) for _ in range(8)]
            told = await asyncio.gather(*asked, return_exceptions=True)
            assert {each.status for each in told if isinstance(each, Refused)} == {504}
        assert not batcher._queue, "nobody waits any more for these"
        server.hangs = False
        await asyncio.sleep(2 * 0.1 + GRACE_SECONDS + 0.2)
        assert await batcher.ask([{"text": "a"}], {}, 1) == [{"prediction": 1, "score": 0.5}]

    run(tmp_path / "keys.json", scenario)


def test_large_instances_go_in_calls_that_the_server_takes(tmp_path: Path) -> None:
    async def scenario(server: Server, batcher: Batcher) -> None:
        large: dict[str, Any] = {"text": "a" * 300_000}
        told = await asyncio.gather(*(batcher.ask([large], {}, 10) for _ in range(24)))
        assert told == [[{"prediction": 1, "score": 0.5}]] * 24
        assert max(server.sizes) <= CALL_BYTES
        assert len(server.sizes) < 24, "as many go together as there is room for"

    run(tmp_path / "keys.json", scenario)


@pytest.mark.parametrize("neighbours", [0, 3])
def test_an_instance_that_is_too_large_alone_is_refused_alone(tmp_path: Path, neighbours: int) -> None:
    async def scenario(_server: Server, batcher: Batcher) -> None:
        huge, small = {"text": "a" * CALL_BYTES}, {"text": "a"}
        asked = [batcher.ask([huge], {}, 10), *(batcher.ask([small], {}, 10) for _ in range(neighbours))]
        [[refused], *others] = await asyncio.gather(*asked)
        assert refused["status"] == 413
        assert f"larger than {CALL_BYTES} bytes" in refused["error"]
        assert others == [[{"prediction": 1, "score": 0.5}]] * neighbours

    run(tmp_path / "keys.json", scenario)
