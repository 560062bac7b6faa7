"""A caller who is alone is asked for in its own task: what may happen to it, and to who comes meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from perennial_gateway.backends import batcher as batcher_module
from perennial_gateway.backends.base import Answer, BackendFault, Unreached, WorkerDied
from perennial_gateway.backends.batcher import Batcher
from perennial_gateway.metrics import OfVersion
from perennial_gateway.routes import Route
from perennial_gateway.web import Refused

from tests.unit.gateway.models import route

PATIENT_SECONDS = 60


class Backend:
    """It answers at once, holds its calls while it is shut, and fails as it is told to.

    Attributes:
        calls: What it was asked with, call by call, and by which task.
        faults: Of the next calls, each in its turn.
        deadly: An instance that ends the worker.
    """

    servers = 1

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.faults: list[BackendFault] = []
        self.deadly: Any = None
        self.open = asyncio.Event()
        self.open.set()

    async def ask(self, _route: Route, instances: Sequence[Any], _headers: Mapping[str, str]) -> list[Answer]:
        self.calls.append(list(instances))
        self.tasks.append(asyncio.current_task())
        await asyncio.sleep(0)  # as of every server, its answer comes in a later turn
        await self.open.wait()
        if self.deadly in instances:
            raise WorkerDied("Worker died.")
        if self.faults:
            raise self.faults.pop(0)
        return [{"prediction": each, "score": 1.0} for each in instances]

    async def asked(self, calls: int) -> None:
        """Return when so many calls have come."""
        async with asyncio.timeout(PATIENT_SECONDS):
            while len(self.calls) < calls:
                await asyncio.sleep(0)


async def ask(batcher: Batcher, instance: Any, seconds: float = PATIENT_SECONDS) -> list[Answer]:
    return await batcher.ask([instance], {}, seconds)


def run(scenario: Callable[[Backend, Batcher], Awaitable[None]]) -> None:
    """Let it happen after one caller was alone, so that the next one is asked for at once."""

    async def all_of_it() -> None:
        backend = Backend()
        told = Route.model_validate({**route("1"), "batches": True, "batch_size": 32})
        batcher = Batcher(backend, told, OfVersion("m", "1"))  # type: ignore[arg-type]
        await ask(batcher, "first")
        await scenario(backend, batcher)

    asyncio.run(all_of_it())


def said(*instances: Any) -> list[list[Answer]]:
    return [[{"prediction": each, "score": 1.0}] for each in instances]


def test_who_is_alone_is_asked_for_in_its_own_task_and_others_are_not() -> None:
    async def scenario(backend: Backend, batcher: Batcher) -> None:
        for _ in range(3):
            assert await ask(batcher, "lone") == said("lone")[0]
        assert backend.tasks[1:] == [asyncio.current_task()] * 3

        await asyncio.gather(*(ask(batcher, number) for number in range(4)))
        seen = len(backend.calls)
        await ask(batcher, "after many")
        assert backend.tasks[seen] is not asyncio.current_task()
        await ask(batcher, "alone again")
        assert backend.tasks[seen + 1] is asyncio.current_task()

    run(scenario)


def test_who_comes_meanwhile_goes_together_with_others_that_do() -> None:
    async def scenario(backend: Backend, batcher: Batcher) -> None:
        backend.open.clear()
        lone = asyncio.create_task(ask(batcher, "lone"))
        await backend.asked(2)
        others = [asyncio.create_task(ask(batcher, number)) for number in range(8)]
        await backend.asked(3)
        backend.open.set()
        assert await asyncio.gather(lone, *others) == said("lone", *range(8))
        assert backend.calls[1:] == [["lone"], list(range(8))]

    run(scenario)


def test_one_call_more_is_left_behind_and_not_one_for_each_whose_time_is_over() -> None:
    async def scenario(backend: Backend, batcher: Batcher) -> None:
        backend.open.clear()
        for _ in range(10):
            with pytest.raises(Refused, match="did not answer within") as refused:
                await ask(batcher, "late", seconds=0.01)
            assert refused.value.status == 504
        assert len(backend.calls) <= 1 + 1 + 2, "the first, the lone one, and two that may be under way"
        backend.open.set()
        assert await ask(batcher, "after") == said("after")[0]

    run(scenario)


def test_who_is_gone_holds_no_place() -> None:
    async def scenario(backend: Backend, batcher: Batcher) -> None:
        backend.open.clear()
        for _ in range(5):
            backend.calls.clear()
            gone = asyncio.create_task(ask(batcher, "gone"))
            await backend.asked(1)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            backend.open.set()
            assert [await ask(batcher, turn) for turn in range(2)] == said(*range(2))
            assert backend.calls == [["gone"], [0], [1]]
            backend.open.clear()

    run(scenario)


def test_what_is_not_answered_is_tried_again_and_then_told() -> None:
    async def scenario(backend: Backend, batcher: Batcher) -> None:
        backend.faults = [Unreached("it hung up")]
        assert await ask(batcher, "once") == said("once")[0]
        assert backend.calls[1:] == [["once"], ["once"]]

        await ask(batcher, "again alone")
        backend.calls.clear()
        backend.faults = [BackendFault("No room.") for _ in range(3)]
        with pytest.raises(Refused, match=r"does not answer: No room\.") as refused:
            await ask(batcher, "never")
        assert (refused.value.status, len(backend.calls)) == (503, 3)

    run(scenario)


def test_a_caller_whose_time_is_over_between_two_tries_is_told_of_the_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher_module, "PAUSES_SECONDS", (PATIENT_SECONDS,))

    async def scenario(backend: Backend, batcher: Batcher) -> None:
        backend.faults = [BackendFault("No room.")]
        with pytest.raises(Refused, match=r"No room\.") as refused:
            await ask(batcher, "hasty", seconds=1)
        assert (refused.value.status, len(backend.calls)) == (503, 2)

    run(scenario)


def test_who_kills_its_worker_gets_no_third_one_and_its_neighbours_are_answered() -> None:
    async def scenario(backend: Backend, batcher: Batcher) -> None:
        backend.deadly = "deadly"
        backend.open.clear()
        killer = asyncio.create_task(ask(batcher, "deadly"))
        await backend.asked(2)
        others = [asyncio.create_task(ask(batcher, number)) for number in range(3)]
        backend.open.set()
        assert await asyncio.gather(*others) == said(*range(3))
        with pytest.raises(Refused, match=r"Worker died\.") as refused:
            await killer
        assert refused.value.status == 503
        assert backend.calls.count(["deadly"]) == 2

    run(scenario)
