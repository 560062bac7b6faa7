"""A container's log while it grows: each line once,
also when the engine or the worker was gone in between.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from plugins.runners.lines import Lines

WATCH_SECONDS = 0.5
WAITING_FRAMES = 1_000
# Docker takes the moment to start from as a float, which cannot hold nanoseconds; what it repeats is left out
# by its time.
EARLIER_SECONDS = 1e-6

Open = Callable[[float | None], Iterable[bytes]]


class LogStream:
    """Reads one container's log with the engine's time stamps.

    Args:
        open_log: Opens the log from a Unix time on, in seconds; from its start for None. It may break at any
            time.
        since: The time stamp of the last line that somebody has passed on already.

    Attributes:
        last: The time stamp of the last line that was passed on.
        fault: Why the log broke off; None where it ended.
    """

    def __init__(self, open_log: Open, since: str | None) -> None:
        self.last = since
        self.fault: Exception | None = None
        self._open = open_log
        self._lines = Lines()

    def lines(self, watch: Callable[[], None]) -> Iterator[str]:
        """Each line until the log ends or breaks; then it may be called again.

        `watch` is called at least twice a second.
        """
        self.fault = None
        frames: queue.Queue[bytes | None] = queue.Queue(WAITING_FRAMES)
        over = threading.Event()
        threading.Thread(target=self._read, args=(frames, over), daemon=True).start()
        try:
            for frame in _until_none(frames, watch):
                yield from self._feed(frame)
            yield from self._lines.end()
        finally:
            over.set()

    def _feed(self, frame: bytes) -> Iterator[str]:
        stamp, _, text = frame.partition(b" ")
        at = stamp.decode("ascii", errors="replace")
        if self.last is None or at > self.last:
            # Passed on is what the caller comes back after: the time stamp counts with the last line that has
            # it.
            whole = list(self._lines.feed(text))
            yield from whole[:-1]
            self.last = at if text.endswith(b"\n") else self.last
            yield from whole[-1:]

    def _read(self, frames: "queue.Queue[bytes | None]", over: threading.Event) -> None:
        """In a thread, because a silent log blocks its reader for as long as it is silent."""
        try:
            for frame in self._open(_seconds(self.last)):
                _put(frames, frame, over)
                if over.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - whoever follows looks whether the step still runs, and opens its log again
            self.fault = error
        _put(frames, None, over)


def _until_none(frames: "queue.Queue[bytes | None]", watch: Callable[[], None]) -> Iterator[bytes]:
    while True:
        watch()
        with contextlib.suppress(queue.Empty):
            frame = frames.get(timeout=WATCH_SECONDS)
            if frame is None:
                return
            yield frame


def _put(frames: "queue.Queue[bytes | None]", frame: bytes | None, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(queue.Full):
            frames.put(frame, timeout=WATCH_SECONDS)
            return


def _seconds(stamp: str | None) -> float | None:
    return datetime.fromisoformat(stamp).timestamp() - EARLIER_SECONDS if stamp else None
