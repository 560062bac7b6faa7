"""The processes of a platform: its guardian, and those that lost it, found by a mark in their environment."""

import fcntl
from pathlib import Path

import psutil

from tasks.runtime import processes

MARK = "PERENNIAL_PLATFORM_PROCESS"


def guardian(lock: Path) -> int | None:
    """The process id of the guardian that holds the lock; None when nobody
    does, whatever an old file says.
    """
    if not lock.exists():
        return None
    with lock.open("r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


def find_marked(home: Path) -> list[psutil.Process]:
    """Every process that a platform on this state folder
    started, directly or not, without this one and its parents.
    """
    return processes.find_marked(MARK, str(home))


def sweep(home: Path, *, patience_seconds: float = 5) -> list[str]:
    """End every such process. Returns their commands."""
    return processes.end_marked(MARK, str(home), patience_seconds=patience_seconds)
