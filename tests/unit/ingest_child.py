"""Ingest in a process of its own, which may be killed at a point of the code.

The processes are forked from a server that has the heavy libraries imported and nothing of them started: each
costs milliseconds instead of seconds.
"""

import importlib
import inspect
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tasks.settings import settings
from tests.unit.reviews import ingested

PLACE = ("PERENNIAL_", "AWS_", "STORAGE_EMULATOR_HOST")
"""What says where everything lies; the server of processes was started by another test, with that test's."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tasks.data.suite_run", "tasks.data.ingest", "tests.unit.ingest_child"])


def start(home: Path, step: str, kill_at: str | None = None) -> BaseProcess:
    """Start an ingest of everything that waits below `home`.

    Args:
        home: The state folder.
        step: The step's key.
        kill_at: `before` or `after`, the place in the code, and which call of it: `after
            tasks.stores.lake.Lake.append 1`.
    """
    place = {name: value for name, value in os.environ.items() if name.startswith(PLACE)}
    child = PROCESSES.Process(target=_run, args=(str(home), step, kill_at, place))
    child.start()
    return child


def _run(home: str, step: str, kill_at: str | None, place: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(PLACE)]:
        del os.environ[name]
    os.environ.update(place)
    settings.cache_clear()
    if kill_at:
        _arm(*kill_at.split())
    ingested(Path(home), step)


def _arm(when: str, place: str, count: str = "1") -> None:
    """Replace a function by one that kills this process before or after a call of it."""
    owner, name = _found(place)
    genuine: Callable[..., Any] = getattr(owner, name)
    left = [int(count)]

    def die(now: str) -> None:
        left[0] -= now == "before"
        if when == now and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        die("before")
        result = genuine(*args, **kwargs)
        die("after")
        return result

    async def deadly_too(*args: Any, **kwargs: Any) -> Any:
        die("before")
        result = await genuine(*args, **kwargs)
        die("after")
        return result

    setattr(owner, name, deadly_too if inspect.iscoroutinefunction(genuine) else deadly)


def _found(place: str) -> tuple[Any, str]:
    """The module or class that holds a function, and its name there."""
    parts = place.split(".")
    owner: Any = importlib.import_module(".".join(parts[:2]))
    for part in parts[2:-1]:
        owner = getattr(owner, part)
    return owner, parts[-1]
