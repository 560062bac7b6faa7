"""Ask a version for what waits, together: at once while it has room, else with what gathers meanwhile.

So a batch costs nobody a delay: a lone request is sent as it comes, and under load as many go together as
came while the call before was under way. Each version has its own batcher in each process of the gateway.

Who is alone time and again is asked for in its own task: the queue, and a task of the call's own, are a tenth
of what a lone request costs.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from math import ceil
from typing import Any

from perennial_gateway.backends.base import RETRY_AFTER, Answer, BackendFault, Kind, WorkerDied
from perennial_gateway.backends.budget import RetryBudget
from perennial_gateway.deadline import late
from perennial_gateway.metrics import OfVersion
from perennial_gateway.routes import Route
from perennial_gateway.web import Refused

PAUSES_SECONDS = (0.05, 0.2)
"""Before each further try.

A connection that was closed meanwhile, a worker that died with a neighbour's request: both pass at once.
"""

UNBATCHED_CALLS = 256
"""Calls at once to a version that takes one instance at a time: the backend itself makes batches of them."""


class Waiting:
    """Instances of one request that are sent together, and the future of their answers.

    Attributes:
        until: How long the caller waits, on the event loop's clock.
        fault: What became of the newest call that they were in; None for one that has not failed.
    """

    __slots__ = ("answers", "fault", "headers", "instances", "until")

    def __init__(
        self,
        instances: Sequence[Any],
        headers: Mapping[str, str],
        answers: "asyncio.Future[list[Answer]]",
        until: float,
    ) -> None:
        self.instances = instances
        self.headers = headers
        self.answers = answers
        self.until = until
        self.fault: BackendFault | None = None


class Batcher:
    """The requests to one version.

    A call for each worker goes out as soon as something waits. Another for each, which is there when the
    worker is free, goes out once as much waits as is in a call already: small calls would cost a busy machine
    more than they save.

    Args:
        processes: How many of the gateway's share the version's workers.
    """

    def __init__(self, backend: Kind, route: Route, metrics: OfVersion, processes: int = 1) -> None:
        self._backend = backend
        self._route = route
        self._metrics = metrics
        self._most = route.batch_size if route.batches else 1
        workers = route.workers * backend.servers if route.batches else UNBATCHED_CALLS
        self._at_once = ceil(workers / processes)
        self._most_calls = ceil(2 * workers / processes)
        self._asked = 0
        self._waits = 0
        self._budget = RetryBudget()
        self._queue: deque[Waiting] = deque()
        self._under_way = 0
        self._starting = False
        self._is_quiet = False
        self._calls: set[asyncio.Task[None]] = set()

    async def ask(self, instances: Sequence[Any], headers: Mapping[str, str], seconds: float) -> list[Answer]:
        """The answer to each instance, in their order.

        Args:
            seconds: How long the caller waits.

        Raises:
            Refused: 503 when the backend does not answer, 504 when it takes longer than the caller waits, 502
                when the answer is none.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        fault: BackendFault | None = None
        if self._is_quiet and not self._under_way and not self._queue and len(instances) <= self._most:
            try:
                return await self._ask_at_once(instances, headers, seconds, until)
            except BackendFault as error:
                fault = error
        parts = [
            Waiting(instances[start : start + self._most], headers, loop.create_future(), until)
            for start in range(0, len(instances), self._most)
        ]
        if fault is None:
            self._queue.extend(parts)
            self._waits += len(instances)
            self._send()
        else:
            self._begin(self._again(parts, fault))
        timer = loop.call_at(until, _expire, parts, seconds)
        try:
            if len(parts) == 1:
                return await parts[0].answers
            return [answer for part in parts for answer in await part.answers]
        finally:
            timer.cancel()
            for part in parts:
                part.answers.cancel()
            self._forget()

    async def _ask_at_once(
        self, instances: Sequence[Any], headers: Mapping[str, str], seconds: float, until: float
    ) -> list[Answer]:
        """The answers to a request that is alone, as the one before was.

        Who gives up leaves a call behind at the backend. The next request is no longer asked for like this,
        so that it is one call more, and not one for each caller while a backend hangs.

        Raises:
            BackendFault: As `Backend.ask`: it has not been tried again yet.
            Refused: As `ask`.
        """
        self._is_quiet = False
        self._under_way += 1
        self._asked += len(instances)
        self._budget.earn(1)
        try:
            async with asyncio.timeout_at(until):
                with self._metrics.backend_seconds.time():
                    answers = await self._backend.ask(self._route, instances, headers)
            self._is_quiet = not self._queue and self._under_way == 1
        except TimeoutError as error:
            raise late(seconds) from error
        finally:
            self._ended(len(instances))
        return answers

    def _forget(self) -> None:
        """Let go of what waits first and for nobody: while no call ends, nothing else would."""
        while self._queue and self._queue[0].answers.done():
            self._waits -= len(self._queue.popleft().instances)

    def _send(self) -> None:
        """Start a call, if one may; what comes in this turn of the loop, before its first step, joins it."""
        if self._starting or not self._queue or not self._may_send():
            return
        self._starting = True
        self._begin(self._start())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._under_way += 1
        call = asyncio.ensure_future(work)
        self._calls.add(call)  # the loop itself holds no reference to it
        call.add_done_callback(self._calls.discard)

    async def _start(self) -> None:
        self._starting = False
        free = max(self._at_once - self._under_way, 0) + 1  # with this call's own, as many take what waits
        batch = self._gather(min(self._most, ceil(self._waits / free)))
        size = sum(len(waiting.instances) for waiting in batch)
        self._asked += size
        if batch:
            self._send()
            await self._work(batch, size)
        else:
            self._ended(size)

    def _may_send(self) -> bool:
        calls = self._under_way
        if calls < self._at_once:
            return True
        return calls < self._most_calls and self._waits * calls >= self._asked

    def _ended(self, size: int) -> None:
        self._under_way -= 1
        self._asked -= size
        self._send()

    def _gather(self, room: int) -> list[Waiting]:
        """What goes together now, one at least; nobody waits any more for what was cancelled or is late."""
        batch: list[Waiting] = []
        while self._queue and (
            self._queue[0].answers.done() or not batch or len(self._queue[0].instances) <= room
        ):
            waiting = self._queue.popleft()
            self._waits -= len(waiting.instances)
            if not waiting.answers.done():
                batch.append(waiting)
                room -= len(waiting.instances)
        return batch

    async def _work(self, batch: Sequence[Waiting], size: int) -> None:
        """Ask, and tell those who wait; what is next is on its way before, as their answers keep the loop
        busy for a while.
        """
        self._budget.earn(len(batch))
        try:
            with self._metrics.backend_seconds.time():
                answers = await self._call(batch)
        except BackendFault as fault:
            self._is_quiet = False
            await self._apart(batch, fault)
            self._ended(size)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            self._ended(size)
            _refuse(batch, error)
        else:
            self._is_quiet = len(batch) == 1 and not self._queue and self._under_way == 1
            self._ended(size)
            _tell(batch, answers)

    async def _again(self, batch: Sequence[Waiting], fault: BackendFault) -> None:
        """Try a request again that was asked for at once."""
        size = sum(len(waiting.instances) for waiting in batch)
        self._asked += size
        await self._apart(batch, fault)
        self._ended(size)

    async def _apart(self, batch: Sequence[Waiting], fault: BackendFault) -> None:
        """Ask those of a call that failed again: each alone, for one of them may have killed the worker, and
        one after the other, for it may do so again, with all that the worker has meanwhile.

        Each has its turn before one has a second, so that nobody waits for a worker that dies time and again;
        who has killed one when alone has none.
        """
        for waiting in batch:
            waiting.fault = fault
        for pause in PAUSES_SECONDS:
            await asyncio.sleep(pause)
            for waiting in batch:
                if not waiting.answers.done():
                    await self._alone(waiting)
        for waiting in batch:
            _refuse([waiting], _unanswered(waiting.fault))

    async def _alone(self, waiting: Waiting) -> None:
        """One further try, if the budget has one."""
        if not self._budget.spend(asyncio.get_running_loop().time()):
            self._metrics.backend_retries_withheld.inc()
            return
        self._metrics.backend_retries.inc()
        try:
            async with asyncio.timeout_at(waiting.until):
                _tell([waiting], await self._call([waiting]))
        except WorkerDied as error:
            _refuse([waiting], _unanswered(error))
        except BackendFault as error:
            waiting.fault = error
        except TimeoutError:
            pass  # told by its timer
        except Exception as error:  # noqa: BLE001 - as in `_work`
            _refuse([waiting], error)

    async def _call(self, batch: Sequence[Waiting]) -> list[Answer]:
        instances = [instance for waiting in batch for instance in waiting.instances]
        return await self._backend.ask(self._route, instances, batch[0].headers)


def _tell(batch: Sequence[Waiting], answers: Sequence[Answer]) -> None:
    start = 0
    for waiting in batch:
        end = start + len(waiting.instances)
        if not waiting.answers.done():
            waiting.answers.set_result(list(answers[start:end]))
        start = end


def _refuse(batch: Sequence[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answers.done():
            waiting.answers.set_exception(error)


def _unanswered(fault: BackendFault | None) -> Refused:
    message = f"The serving backend does not answer: {fault}. Nothing was accepted; try again."
    return Refused(503, message, headers=RETRY_AFTER)


def _expire(parts: Sequence[Waiting], seconds: float) -> None:
    """Tell a caller whose time is over; one whose call has failed, why."""
    for part in parts:
        if not part.answers.done():
            part.answers.set_exception(_unanswered(part.fault) if part.fault else late(seconds))
            break  # whoever waits for the parts in turn is told by the first
