"""Processes of a platform that lost their guardian: found by a mark in their environment, and ended."""

import contextlib
import fcntl
import os
from pathlib import Path

import psutil

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
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in own and process.environ().get(MARK) == str(home):
                found.append(process)
    return found


def end(processes: list[psutil.Process], *, patience_seconds: float) -> None:
    """Ask them to end, and kill those that have not within the time."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _gone, alive = psutil.wait_procs(processes, timeout=patience_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def end_one(pid: int, *, patience_seconds: float) -> None:
    """The same for a process that may have ended already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        end([psutil.Process(pid)], patience_seconds=patience_seconds)


def sweep(home: Path, *, patience_seconds: float = 5) -> list[str]:
    """End every marked process, and those that these start meanwhile. Returns their commands."""
    swept = []
    while left := find_marked(home):
        swept += [_command(process) for process in left]
        end(left, patience_seconds=patience_seconds)
    return swept


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:100] or process.name()
    except psutil.Error:
        return f"process {process.pid}"
