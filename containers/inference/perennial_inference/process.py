"""A worker's process as the server sees it: started, given batches, ended."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import orjson

from perennial_inference import frames

STOP_SECONDS = 5.0


class Pending:
    """A request that waits for its answer.

    Attributes:
        deadline: On the event loop's clock.
        alone: Its worker ended, so that it is sent again, once and alone: it may have been its fault.
    """

    __slots__ = ("alone", "answer", "body", "deadline")

    def __init__(self, body: bytes, answer: "asyncio.Future[frames.Part]", deadline: float) -> None:
        self.body = body
        self.answer = answer
        self.deadline = deadline
        self.alone = False


class Owner(Protocol):
    """What is told of a worker's life."""

    def ready(self, worker: "Worker") -> None:
        """It has loaded its model."""

    def answered(self, worker: "Worker") -> None:
        """It has room again."""

    def ended(self, worker: "Worker") -> None:
        """It is gone; `worker.batches` were not answered, the first of them perhaps begun."""


class Worker(asyncio.Protocol):
    """One process. It works on its batches in their order, so that the first one is the one it works on.

    Attributes:
        state: `starting`, `ready`, `leaving` (it gets no more work), `lost` (its line is closed), `ended`.
        loaded: Whether it has been ready.
        hung: It was killed because it did not answer in time.
        failure: What it said before it ended while it loaded its model.
    """

    def __init__(self, owner: Owner, number: int) -> None:
        self.owner = owner
        self.number = number
        self.state = "starting"
        self.loaded = False
        self.hung = False
        self.failure = ""
        self.batches: deque[tuple[Sequence[Pending], float]] = deque()
        self.started = asyncio.get_running_loop().time()
        self._buffer = frames.Buffer()
        self._is_told = self._is_doomed = False
        self._changed: dict[str, Any] | None = None
        self._line: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._on_frame: dict[bytes, Callable[[list[frames.Part]], None]] = {
            frames.READY: self._ready,
            frames.FAILED: self._failed,
            frames.ANSWERS: self._answered,
        }

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self, order: dict[str, Any]) -> None:
        """Start the process and tell it what to load; it calls back when it is ready.

        Started by this thread: the kernel ends a worker with the thread that started it. Where the machine
        has no room for another process or file, it counts as one that ended before it was ready.
        """
        if self._is_doomed:
            self.state = "ended"
            self.owner.ended(self)
            return
        try:
            ours = self._launch()
        except OSError as error:
            self.failure, self.state = f"its worker cannot be started: {error}", "ended"
            self.owner.ended(self)
            return
        line, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        line.write(frames.pack(frames.WORK, [(0, orjson.dumps(order))]))
        self._is_told = True
        if self._changed is not None:
            self.follow(self._changed)

    def _launch(self) -> socket.socket:
        """Start the process; our end of the line to it."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "perennial_inference.worker", str(theirs.fileno())]
        with theirs:
            try:
                self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=_environment())
            except OSError:
                ours.close()
                raise
        return ours

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def follow(self, order: dict[str, Any]) -> None:
        """Tell it a changed order, after the one that it was started with: it answers by that what is sent
        later. One whose line is closed answers nothing more.
        """
        if not self._is_told:
            self._changed = order
        elif self._line is not None and not self._line.is_closing():
            self._line.write(frames.pack(frames.ORDER, [(0, orjson.dumps(order))]))

    def send(self, batch: Sequence[Pending]) -> None:
        """Give it a batch."""
        assert self._line is not None  # noqa: S101 - it is ready
        self.batches.append((batch, asyncio.get_running_loop().time()))
        self._line.write(frames.pack(frames.WORK, [(0, pending.body) for pending in batch]))

    def data_received(self, data: bytes) -> None:
        for content in self._buffer.feed(data):
            kind, parts = frames.unpack(content)
            self._on_frame[kind](parts)

    def _ready(self, _parts: list[frames.Part]) -> None:
        if self.state == "starting":
            self.state = "ready"
        self.owner.ready(self)

    def _failed(self, parts: list[frames.Part]) -> None:
        self.failure = parts[0][1].decode(errors="replace")

    def _answered(self, parts: list[frames.Part]) -> None:
        batch, _ = self.batches.popleft()
        if self.batches:  # the next one is begun only now
            waiting, _ = self.batches[0]
            self.batches[0] = (waiting, asyncio.get_running_loop().time())
        for pending, part in zip(batch, parts, strict=True):
            if not pending.answer.done():
                pending.answer.set_result(part)
        self.owner.answered(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.state = "lost"
        asyncio.get_running_loop().create_task(self._reap())

    def leave(self) -> None:
        """Let it end once it has answered what it has."""
        if self.state not in {"lost", "ended"}:
            self.state = "leaving"
            if not self.batches and self._line:
                self._line.close()

    def kill(self) -> None:
        """End it at once; one that has not been started never is."""
        self._is_doomed = True
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    async def _reap(self) -> None:
        """Wait for its end; one that outlives its socket, such as in a handler's own thread, is killed."""
        process = self._process
        assert process is not None  # noqa: S101 - it was started
        until = asyncio.get_running_loop().time() + STOP_SECONDS
        while process.poll() is None:
            if asyncio.get_running_loop().time() > until:
                self.kill()
            await asyncio.sleep(0.01)
        code = process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.failure = self.failure or f"its worker ended with {how}"
        self.state = "ended"
        self.owner.ended(self)


def _environment() -> dict[str, str]:
    """One thread a worker, as many workers as wanted; what is meant for the server alone stays behind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PERENNIAL_")}
    return {"OMP_NUM_THREADS": "1", **kept}
