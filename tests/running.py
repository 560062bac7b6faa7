"""Says now and then how far the tests are and what runs: a run that is ended from outside has told then."""

import sys
import threading
import time

EVERY_SECONDS = 300.0


class Running:
    """Tells the terminal of a run that nobody watches; a person sees the tests go by."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._at_work: dict[str, float] = {}
        self._done = 0
        self._ended = threading.Event()

    def pytest_sessionstart(self) -> None:
        threading.Thread(target=self._tell_now_and_then, daemon=True).start()

    def pytest_sessionfinish(self) -> None:
        self._ended.set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._at_work[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._at_work.pop(nodeid, None)
        self._done += 1

    def _tell_now_and_then(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            now = time.monotonic()
            lines = [f"\n{(now - self._began) / 60:.0f} min, {self._done} tests done; at work:"]
            lines += [f"  {now - since:4.0f} s  {nodeid}" for nodeid, since in list(self._at_work.items())]
            print(*lines, sep="\n", file=sys.__stdout__, flush=True)
