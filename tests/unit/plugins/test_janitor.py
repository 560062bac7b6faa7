"""What the janitor removes, and what it must leave alone."""

import time

import pytest

from plugins import janitor
from plugins.janitor import GONE, reason, sweep
from plugins.runners import Left, Owner

NOW = 1_000_000.0
OWNER = Owner("train_m", "run", "train", -1, 2)


class Engine:
    """Remembers what was removed of what is there."""

    def __init__(self, *there: Left) -> None:
        self.there = there
        self.removed: list[str] = []

    def list_left(self) -> list[Left]:
        return list(self.there)

    def remove(self, job: str) -> None:
        self.removed.append(job)


@pytest.mark.parametrize(
    "state", ["running", "queued", "scheduled", "restarting", "up_for_retry", "deferred", None]
)
def test_what_a_task_follows_or_will_come_back_for_stays(state: str | None) -> None:
    assert reason(Left("a", OWNER, NOW + 1), state, NOW) is None


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed", GONE])
def test_what_no_task_will_come_back_for_goes(state: str) -> None:
    assert reason(Left("a", OWNER, NOW + 1), state, NOW)


def test_what_should_have_ended_goes_whoever_follows_it() -> None:
    assert reason(Left("a", OWNER, NOW - 90), "running", NOW) == "it should have ended 90 s ago."


def test_each_is_judged_by_its_own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + 60
    mapped = [Owner("train_m", "run", "train", index, 1) for index in range(3)]
    engine = Engine(*(Left(f"job-{owner.map_index}", owner, later) for owner in mapped))
    monkeypatch.setattr(janitor, "runner", lambda: engine)

    done = sweep(lambda owner: "running" if owner.map_index == 1 else "failed")

    assert engine.removed == ["job-0", "job-2"]
    assert done[0] == "Removed job-0, the step of train_m, run run, task train: its task is failed."
