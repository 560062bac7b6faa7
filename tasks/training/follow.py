"""Follow a training while it runs.

TensorBoard logs go into its MLflow run, progress into the task's log, and a few points of its curves into a
file for people who watch it.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.stores import registry
from tasks.training.curves import Curves
from tasks.training.live import Live
from tasks.training.progress import Goal, Logged, Reached, goal_of, reached, seconds_left, sentence

LOOK_SECONDS = 5.0
"""Between two looks, and so between two lines of progress."""
REMIND_SECONDS = 60.0
"""After so long without a further epoch the time that is left is told again."""


@dataclass
class Progress:
    """What was told of a training's progress, so that a line says something new.

    Attributes:
        begun: The training's start. The pace is measured from the first epoch as soon as there are two.
    """

    goal: Goal
    begun: Reached
    first: Reached | None = None
    told: Reached | None = None
    told_at: float = 0.0

    def line(self, newest: Reached | None, now: float) -> str | None:
        """The next line; None where there is nothing new."""
        if newest is None:
            return None
        self.first = self.first or newest
        same = self.told is not None and newest.done == self.told.done
        if same and (now - self.told_at < REMIND_SECONDS or newest.done >= self.goal.total):
            return None
        self.told, self.told_at = newest, now
        return sentence(self.goal, newest, self.left(newest, now))

    def left(self, newest: Reached, now: float) -> float | None:
        """How long the rest takes at most, in seconds; None where there is no pace yet."""
        begun = self.first if self.first and newest.done > self.first.done else self.begun
        return seconds_left(self.goal, begun, newest, now)

    def told_of(self, newest: Reached | None, now: float) -> dict[str, Any]:
        """The same as fields of a record."""
        of = {"unit": self.goal.unit, "total": self.goal.total}
        if newest is None:
            return of
        return of | {"done": newest.done, "seconds_left": self.left(newest, now)}


@dataclass
class Follower:
    """Looks at a training every few seconds, from a thread beside it."""

    client: Any
    run_id: str
    curves: Curves
    progress: Progress | None
    live: Live | None = None
    said: set[str] = field(default_factory=set)

    def look(self, *, last: bool = False) -> None:
        """Look once. What goes wrong is told in the task's log, and tried again: it ends no training."""
        try:
            self.curves.look(last=last)
            self._tell(last=last)
        except Exception as error:  # noqa: BLE001 - whatever it is, the model is worth more than its curves
            again = "" if last else " It is tried again."
            fault = f"The curves of this training could not be kept: {type(error).__name__}: {error}.{again}"
            if fault not in self.said:
                self.said.add(fault)
                self._say(fault)

    def _tell(self, *, last: bool) -> None:
        metrics, now = self._metrics() if self.progress or self.live else [], time.time()
        told: dict[str, Any] = {}
        if self.progress:
            newest = reached(self.progress.goal, metrics)
            self._say(None if last else self.progress.line(newest, now))
            told = self.progress.told_of(newest, now)
        if self.live:
            self.live.look(metrics, told, last=last)

    def _metrics(self) -> list[Logged]:
        newest = self.client.get_run(self.run_id).data.to_proto().metrics
        return [Logged(each.key, each.value, each.step, each.timestamp / 1000) for each in newest]

    @staticmethod
    def _say(line: str | None) -> None:
        if line:
            print(f"{line}\n", end="", flush=True)  # one write: the program's lines come from another thread


@contextmanager
def followed(
    run_id: str, values: Mapping[str, object], places: Sequence[Path], folder: str
) -> Iterator[None]:
    """Follow a training from before its start until after its end, however it ends.

    Args:
        values: Its parameters.
        places: The folders in which it may write TensorBoard's event files.
        folder: Of the step: where what people see of the training is written.
    """
    client = registry.client()
    goal = goal_of(values)
    progress = Progress(goal, Reached(0, time.time())) if goal else None
    live = Live(client, run_id, folder)
    follower = Follower(client, run_id, Curves(client, run_id, places), progress, live)
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(LOOK_SECONDS):
            follower.look()

    thread = threading.Thread(target=follow, name="follow-training", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        follower.look(last=True)
