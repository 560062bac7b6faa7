"""The rows of rollout.py's table: what came of the requests while something happened, and how long it was."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.services.conftest import Load

REST_SECONDS = 3.0


@dataclass
class Window:
    """One kind of event, however often it happened.

    Attributes:
        failures: What failed, by its kind.
        resets: Requests that were sent once more because their connection had ended.
        seconds: What was measured, by its name.
        notes: What else is to be said.
    """

    asked: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    resets: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def took(self, what: str, seconds: float) -> None:
        self.seconds.setdefault(what, []).append(seconds)

    def row(self, what: str) -> str:
        """In Markdown."""
        times = [f"{name} {_seconds(each)}" for name, each in self.seconds.items()]
        kinds = [f"{count} {kind}" for kind, count in sorted(self.failures.items())]
        said = "; ".join([*times, *self.notes, *kinds])
        return f"| {what} | {self.asked:,} | {self.failures.total()} | {self.resets} | {said} |"


def _seconds(measured: list[float]) -> str:
    middle = f"{statistics.median(measured):.2f} s"
    return middle if len(measured) == 1 else f"{middle} ({min(measured):.2f}-{max(measured):.2f})"


class Told:
    """The windows of one load."""

    def __init__(self, load: Load, per_second: float) -> None:
        self.load = load
        self._per_second = per_second
        self._windows: dict[str, Window] = {}

    @property
    def failed(self) -> int:
        return len(self.load.faults) + len(self.load.refusals)

    @property
    def asked(self) -> int:
        return len(self.load.answers) + self.failed

    def first(self, run_id: str) -> float:
        """When a run first answered, waited for."""
        return self._wait(lambda _, run: run == run_id, f"run {run_id} answers nobody")

    def next_after(self, moment: float) -> float:
        """When the first answer came after a moment, waited for."""
        return self._wait(lambda at, _: at > moment, "nobody answers any more")

    def last(self, run_id: str) -> float:
        """When a run last answered."""
        return max(at for at, run in self.load.answered if run == run_id)

    def _wait(self, wanted: Callable[[float, str], bool], fault: str) -> float:
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            found = [at for at, run in self.load.answered[-500:] if wanted(at, run)]
            if found:
                return min(found)
            time.sleep(0.005)
        raise AssertionError(fault)

    @contextmanager
    def during(self, what: str) -> Iterator[Window]:
        """Count the requests that fail while something happens, and shortly after."""
        window = self._windows.setdefault(what, Window())
        asked, resets = self.asked, self.load.resets
        refusals, faults = len(self.load.refusals), len(self.load.faults)
        yield window
        self._settle()
        window.asked += self.asked - asked
        window.resets += self.load.resets - resets
        window.failures.update(f"HTTP {each.status}" for each in self.load.refusals[refusals:])
        window.failures.update(each.partition("(")[0] for each in self.load.faults[faults:])

    def _settle(self) -> None:
        """Wait until what was held up is answered or has failed, so that no window counts another's."""
        time.sleep(REST_SECONDS)
        ends, steady = time.monotonic() + 60, 0
        while steady < 3 and time.monotonic() < ends:
            before = self.asked
            time.sleep(1)
            steady = steady + 1 if 0.7 <= (self.asked - before) / self._per_second <= 1.3 else 0
        assert steady, "the load has not come back to its rate within a minute"

    def rows(self) -> list[str]:
        return [window.row(what) for what, window in self._windows.items()]

    def total(self, what: str, lost: int) -> str:
        """The row of the whole load.

        Args:
            what: The load, in words.
            lost: Answers that the log lacks.
        """
        return f"| {what} | {self.asked:,} | {self.failed} | {self.load.resets} | {lost} log rows lost |"
