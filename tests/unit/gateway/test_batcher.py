"""How many calls are under way at once, and what goes together in one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from perennial_gateway.backends.base import Answer
from perennial_gateway.backends.batcher import Batcher
from perennial_gateway.metrics import OfVersion
from perennial_gateway.routes import Route

from tests.unit.gateway.models import route


class Slow:
    """A backend whose calls take a while; it tells how many were there at once, and how large they were."""

    servers = 1

    def __init__(self) -> None:
        self.at_once = 0
        self.sizes: list[int] = []
        self._now = 0

    async def ask(self, _route: Route, instances: Sequence[Any], _headers: Mapping[str, str]) -> list[Answer]:
        self.sizes.append(len(instances))
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        await asyncio.sleep(0.01)
        self._now -= 1
        return [{"prediction": each, "score": 1.0} for each in instances]


def asked(callers: int, *, processes: int, workers: int = 1) -> Slow:
    """What a backend saw of callers who ask ten times each."""
    backend = Slow()
    told = Route.model_validate({**route("1"), "batches": True, "batch_size": 32, "workers": workers})
    batcher = Batcher(backend, told, OfVersion("m", "1"), processes)  # type: ignore[arg-type]

    async def caller(number: int) -> None:
        for _ in range(10):
            assert await batcher.ask([number], {}, 5) == [{"prediction": number, "score": 1.0}]

    async def all_of_them() -> None:
        await asyncio.gather(*(caller(number) for number in range(callers)))

    asyncio.run(all_of_them())
    return backend


@pytest.mark.parametrize(
    ("processes", "workers", "calls"), [(1, 1, 2), (2, 1, 1), (4, 1, 1), (2, 4, 4), (1, 3, 6)]
)
def test_the_processes_of_a_gateway_share_the_calls_that_workers_can_take(
    processes: int, workers: int, calls: int
) -> None:
    assert asked(400, processes=processes, workers=workers).at_once == calls


def test_what_comes_at_once_is_shared_by_the_workers_that_are_free() -> None:
    seen = asked(32, processes=1, workers=4)
    assert seen.at_once == 4
    assert seen.sizes[:4] == [8, 8, 8, 8]


def test_a_lone_caller_waits_for_nobody_and_many_go_together() -> None:
    assert set(asked(1, processes=1).sizes) == {1}
    seen = asked(32, processes=2)
    assert sum(seen.sizes) == 320
    assert max(seen.sizes) >= 31
