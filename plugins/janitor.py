"""Remove what steps have left where they outlive their workers:
what no task will come back for, and what should have ended.

A try that ends, well or not, removes its step's container itself, and so does one that is cleared or runs out
of time. What is left is that of workers which died, whose task was then given up, cleared, marked or deleted.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from plugins.runners import Left, Owner, runner
from tasks.settings import settings

log = logging.getLogger(__name__)

# None is a task that was cleared and waits to be scheduled: its next try follows the step, or replaces it.
ALIVE = frozenset(
    {None, "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", "deferred"}
)
GONE = "gone"

StateOf = Callable[[Owner], str | None]


def places(_folder: Path) -> Mapping[str, str]:
    """Where steps outlive their workers, by the runner's name; nothing for
    child processes, which never do.
    """
    name = settings().runner
    return {} if name == "process" else {name: name}


def sweep(state_of: StateOf) -> list[str]:
    """Remove what was left behind, and say so in sentences.

    Args:
        state_of: The state of a task instance; `GONE` where Airflow knows it no more.
    """
    engine, done = runner(), []
    for left in engine.list_left():
        if why := reason(left, state_of(left.owner), time.time()):
            engine.remove(left.job)
            done.append(f"Removed {left.job[:12]}, the step of {_name(left.owner)}: {why}")
    for line in done:
        log.info(line)
    return done


def reason(left: Left, state: str | None, now: float) -> str | None:
    """Why a step is removed; None where a task runs it or will come back for it."""
    if now > left.deadline:
        return f"it should have ended {now - left.deadline:.0f} s ago."
    if state == GONE:
        return "Airflow has no such task any more."
    return None if state in ALIVE else f"its task is {state}."


def _name(owner: Owner) -> str:
    return f"{owner.dag_id}, run {owner.run_id}, task {owner.task_id}"
