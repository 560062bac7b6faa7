"""One loaded version: its queue, its workers, and what becomes of requests when a worker dies."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from perennial_inference import frames
from perennial_inference.archives import Order
from perennial_inference.faults import AGAIN, Refused
from perennial_inference.process import Pending, Worker
from perennial_inference.settings import InferenceSettings

DEPTH = 2
"""Batches that a worker holds: the second is there when it has answered the first."""

FAILED_STARTS = 3
"""Workers in a row that ended before they had loaded their model, after which a version counts as broken."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 30.0
MOST_DOUBLINGS = 16
"""Of the pause; a version that fails for a whole night would else come to a number that is none."""

POLL_SECONDS = 0.02


class Version:
    """The requests to one version, which wait here until a worker has room.

    Attributes:
        order: What was loaded, and how many workers it is to have.
        broken: Why no worker starts; empty where they do. It is tried again all the same, ever more seldom.
        asleep: No worker runs, because nobody asked for so long; the next request starts them.
    """

    def __init__(self, order: Order, folder: Path, settings: InferenceSettings) -> None:
        self.order = order
        self.folder = folder
        self.broken = ""
        self.asleep = False
        self.workers: list[Worker] = []
        self.counted: Counter[str] = Counter()
        self.cold_start_seconds: float | None = None
        self._settings = settings
        self._queue: deque[Pending] = deque()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._woken: float | None = None
        self._closing = False
        self._failed_starts = 0
        self._deaths = 0
        self._pause: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- requests -------------------------------------------------------------------------------------------

    def submit(self, body: bytes) -> "asyncio.Future[frames.Part]":
        """The future answer to a request: a status and a body.

        Raises:
            Refused: 503 where nobody would answer it, 404 while the version is being removed.
        """
        self._require_open()
        self._last = self._loop.time()
        self.counted["requests"] += 1
        if self.asleep:
            self._wake()
        answer: asyncio.Future[frames.Part] = self._loop.create_future()
        self._queue.append(Pending(body, answer, self._last + self.order.timeout_seconds))
        self._dispatch()
        return answer

    def _require_open(self) -> None:
        named = f"{self.order.model} {self.order.version}"
        if self._closing:
            raise Refused(404, f"{named} is being unloaded.")
        if self.order.workers == 0:
            raise Refused(503, f"{named} was scaled to no worker.", AGAIN)
        if self.broken and not self._ready():
            raise Refused(503, f"{named} does not start: {self.broken}.", AGAIN)
        if len(self._queue) >= self._settings.queue:
            raise Refused(503, f"{len(self._queue)} requests to {named} wait already.", AGAIN)

    def _dispatch(self) -> None:
        while self._queue:
            free = [each for each in self.workers if each.state == "ready" and len(each.batches) < DEPTH]
            if not free:
                return
            idle = sum(not each.batches for each in free) or 1
            batch = self._gather(-(-len(self._queue) // idle))
            if batch:
                self.counted["batches"] += 1
                min(free, key=lambda each: len(each.batches)).send(batch)

    def _gather(self, most: int) -> list[Pending]:
        """What goes together now: nobody waits for what is answered, and a suspect goes alone."""
        batch: list[Pending] = []
        most = min(most, self.order.batch_size)
        while self._queue and len(batch) < most:
            if self._queue[0].alone and batch:
                break
            pending = self._queue.popleft()
            if not pending.answer.done():
                batch.append(pending)
                if pending.alone:
                    break
        return batch

    # --- workers, which call back ---------------------------------------------------------------------------

    def ready(self, worker: Worker) -> None:
        """See `Owner`."""
        worker.loaded = True
        self._last = self._loop.time()
        self._failed_starts, self.broken = 0, ""
        if self._woken is not None:
            self.cold_start_seconds, self._woken = self._loop.time() - self._woken, None
        if worker.state == "leaving":
            worker.leave()
        self._dispatch()

    def answered(self, worker: Worker) -> None:
        """See `Owner`."""
        self._deaths = 0
        self._last = self._loop.time()
        if worker.state == "leaving":
            worker.leave()
        self._dispatch()

    def ended(self, worker: Worker) -> None:
        """See `Owner`."""
        self.workers.remove(worker)
        if worker.batches:
            begun, *others = [batch for batch, _ in worker.batches]
            suspects = self._blame(begun, worker)
            self._queue.extendleft(reversed([*suspects, *(each for batch in others for each in batch)]))
        if len(self._active()) < self._wanted():
            self._count_death(worker)
            self._ensure_later()
        self._dispatch()

    def _blame(self, begun: Sequence[Pending], worker: Worker) -> list[Pending]:
        """What is tried again, alone, of the batch that a worker ended in.

        A worker may have been killed from outside, or by another request of its batch. What ends a second
        worker, or hung alone until its time was up, is the fault.
        """
        if len(begun) > 1 or not (begun[0].alone or worker.hung):
            for pending in begun:
                pending.alone = True
            return list(begun)
        self._fail(begun, 503, f"{worker.failure} while it worked on this request")
        return []

    def _fail(self, pendings: Sequence[Pending], status: int, why: str) -> None:
        body = orjson.dumps({"error": f"{self.order.model} {self.order.version}: {why}."})
        for pending in pendings:
            if not pending.answer.done():
                self.counted["failed"] += 1
                pending.answer.set_result((status, body))

    def _count_death(self, worker: Worker) -> None:
        self.counted["deaths"] += 1
        self._deaths += 1
        self._failed_starts += not worker.loaded
        said = f"{self.order.model} {self.order.version}: {worker.failure}; a worker is started again"
        print(said, flush=True)
        if self._failed_starts >= FAILED_STARTS:
            self.broken = worker.failure
            self._fail(list(self._queue), 503, worker.failure)
            self._queue.clear()

    def _ensure_later(self) -> None:
        doublings = min(self._deaths - 1, MOST_DOUBLINGS)
        pause = min(FIRST_PAUSE_SECONDS * 2**doublings, LONGEST_PAUSE_SECONDS)
        if self._pause is None:
            self._pause = self._loop.call_later(pause, self._ensure)

    def _ensure(self) -> None:
        """Start the workers that are missing."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        gpus = self._settings.gpus
        while len(self._active()) < self._wanted():
            taken = {each.number for each in self.workers}
            number = next(index for index in range(len(taken) + 1) if index not in taken)
            worker = Worker(self, number)
            self.workers.append(worker)
            gpu = number % gpus if gpus else None
            order = {**asdict(self.order), "folder": str(self.folder), "gpu": gpu}
            task = self._loop.create_task(worker.start(order))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _active(self) -> list[Worker]:
        return [each for each in self.workers if each.state in {"starting", "ready"}]

    def _wanted(self) -> int:
        return 0 if self.asleep or self._closing else self.order.workers

    def _ready(self) -> int:
        return sum(each.state == "ready" for each in self.workers)

    # --- scaling --------------------------------------------------------------------------------------------

    async def change(self, order: Order, seconds: float) -> None:
        """Have as many workers as the order says, and its other limits and schemas.

        Raises:
            Refused: 400; they did not become ready in time, or three of them ended before they were. The
                version has its order of before again.
        """
        before = self.order
        self._take(replace(order, archive=before.archive))
        try:
            await self._settle(seconds)
        except Refused:
            if self.order != before:
                self._take(before)
            raise

    def _take(self, order: Order) -> None:
        self.order = order
        self.asleep, self.broken, self._failed_starts, self._deaths = False, "", 0, 0
        self._last = self._loop.time()
        if order.workers == 0:
            self._fail(list(self._queue), 503, "it was scaled to no worker")
        for worker in self.workers:
            worker.follow(asdict(order))
        self._leave_extra()
        self._ensure()

    def _leave_extra(self) -> None:
        active = sorted(self._active(), key=lambda each: (each.state == "ready", -len(each.batches)))
        for worker in active[: len(active) - self._wanted()]:
            worker.leave()

    async def _settle(self, seconds: float) -> None:
        until = self._loop.time() + seconds
        while not self._ready() == len(self.workers) == self._wanted():
            if self.broken or self._loop.time() > until:
                why = self.broken or f"it was not ready within {seconds:g} s"
                raise Refused(400, f"{self.order.model} {self.order.version} cannot be loaded: {why}.")
            await asyncio.sleep(POLL_SECONDS)

    def _wake(self) -> None:
        self.asleep, self._woken = False, self._loop.time()
        self.counted["cold_starts"] += 1
        self._ensure()

    def tick(self) -> None:
        """Called ten times a second: tell what waits too long, replace what hangs, end what idles."""
        now = self._loop.time()
        while self._queue and (self._queue[0].answer.done() or self._queue[0].deadline < now):
            late = self._queue.popleft()
            self._fail([late], 504, f"no worker had room within {self.order.timeout_seconds:g} s")
        for worker in self.workers:
            if worker.batches and now - worker.batches[0][1] > self.order.timeout_seconds:
                worker.failure = f"its worker did not answer within {self.order.timeout_seconds:g} s"
                worker.hung = True
                worker.kill()
        idle = self.order.idle_seconds
        if idle is None or self.asleep or self.broken or self._at_work():
            return  # what is broken is tried again, and nobody could wake it
        if now - self._last > idle:
            self.asleep = True
            self._leave_extra()

    def _at_work(self) -> bool:
        """Whether somebody waits, or a worker loads its model."""
        busy = any(each.batches or each.state == "starting" for each in self.workers)
        return busy or bool(self._queue)

    async def close(self) -> None:
        """Answer what is there, take nothing more, and end the workers."""
        self._closing = True
        while self._ready() and (self._queue or any(each.batches for each in self.workers)):
            self.tick()
            await asyncio.sleep(POLL_SECONDS)
        self._fail(list(self._queue), 503, "it was unloaded")
        self._queue.clear()
        for worker in self.workers:
            worker.leave() if worker.state == "ready" else worker.kill()
        while self.workers:
            await asyncio.sleep(POLL_SECONDS)

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """In the words of Triton's model repository: READY, LOADING, UNLOADING or UNAVAILABLE."""
        if self._closing:
            return "UNLOADING"
        if self._ready() or self.asleep:
            return "READY"
        return "UNAVAILABLE" if self.broken or self.order.workers == 0 else "LOADING"

    def described(self) -> dict[str, Any]:
        """Its settings, workers and counts."""
        listed = [
            {"pid": each.pid, "state": each.state, "batches": len(each.batches)} for each in self.workers
        ]
        return {
            "name": self.order.model,
            "version": self.order.version,
            "state": self.state,
            "reason": self.broken,
            "sha256": self.order.sha256,
            "workers": self.order.workers,
            "ready": self._ready(),
            "asleep": self.asleep,
            "waiting": sum(len(batch) for each in self.workers for batch, _ in each.batches)
            + len(self._queue),
            "processes": listed,
            "counts": dict(self.counted),
            "cold_start_seconds": self.cold_start_seconds,
        }
