"""End processes: one, a session of them, or all that carry a mark, whoever their parents are.

A mark is a variable of the environment. It reaches what a process group and a parent's death signal miss:
grandchildren in sessions of their own, whose parents are dead.

As a program, `python -m tasks.runtime.processes VARIABLE VALUE` kills what carries the mark once its standard
input closes; whoever holds the other end may have been killed, however hard.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence

import psutil

GIVE_UP_SECONDS = 30


def find_marked(variable: str, value: str) -> list[psutil.Process]:
    """The running processes that carry the mark and that we may look
    at, without this one and those that it came from.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            carries = process.pid not in own and process.environ().get(variable) == value
            if carries and not _is_zombie(process):
                found.append(process)
    return found


def end_marked(variable: str, value: str, *, patience_seconds: float) -> list[str]:
    """End every process with the mark, and those that these start meanwhile, until none
    is left or half a minute is over. Returns their commands.
    """
    ended, deadline = [], time.monotonic() + GIVE_UP_SECONDS
    while (left := find_marked(variable, value)) and time.monotonic() < deadline:
        ended += [_command(process) for process in left]
        end(left, patience_seconds=patience_seconds)
    return ended


def end(processes: Sequence[psutil.Process], *, patience_seconds: float) -> None:
    """Ask them to end, and kill those that have not within the time; with no patience, kill at once."""
    alive = list(processes)
    if patience_seconds > 0:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        alive = _still_running(alive, patience_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _still_running(alive, 5)


def _still_running(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended within the time. One that has, and that nobody waits for, stays as a zombie
    for as long as its parent lives: process 1 of a container may be such a parent.
    """
    deadline = time.monotonic() + seconds
    while processes and (left := deadline - time.monotonic()) > 0:
        _gone, alive = psutil.wait_procs(processes, timeout=min(0.1, left))
        processes = [process for process in alive if not _is_zombie(process)]
    return processes


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def end_one(pid: int, *, patience_seconds: float) -> None:
    """The same for a process that may have ended already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        end([psutil.Process(pid)], patience_seconds=patience_seconds)


def kill(pid: int) -> None:
    """Kill a child of ours, which nobody waits for here, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_session(leader: int) -> None:
    """Kill every process of the group that `leader` leads; 0 for our own group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:100] or str(process.name())
    except psutil.Error:
        return f"process {process.pid}"


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_marked(sys.argv[1], sys.argv[2], patience_seconds=0)
