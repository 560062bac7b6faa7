"""Servers as child processes: their processor time, their memory, and their end.

This process adopts what a server leaves behind when it ends, so that all its descendants but the load
generator are the server's, and none of them outlives the measurement.
"""

import ctypes
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ADOPT = 36
"""PR_SET_CHILD_SUBREAPER of Linux's prctl(2)."""

GRACE_SECONDS = 15


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends."""
    if ctypes.CDLL(None, use_errno=True).prctl(ADOPT, 1, 0, 0, 0) != 0:
        raise SystemExit(f"prctl failed: {os.strerror(ctypes.get_errno())}. This benchmark needs Linux.")


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path | None = None
) -> Iterator[psutil.Popen]:
    """A server, until the block ends: asked to end then, and its whole tree killed after some seconds."""
    with log.open("ab") as output:
        child = psutil.Popen(
            list(command), env={**os.environ, **environment}, stdout=output, stderr=output, cwd=folder
        )
    try:
        yield child
    finally:
        tree = [child, *_descendants(child)]
        with suppress(psutil.NoSuchProcess):
            child.terminate()
        psutil.wait_procs([child], GRACE_SECONDS)
        end(tree)


def end(tree: Sequence[psutil.Process]) -> None:
    """Kill what still runs of these, and wait for it."""
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(tree, GRACE_SECONDS)


def end_all() -> list[str]:
    """Kill every descendant that is left, and return what they were: there should be none."""
    left = of_servers()
    said = [_command_of(process) for process in left]
    end(left)
    return said


def of_servers() -> list[psutil.Process]:
    """Every descendant of this process that has not ended."""
    return [each for each in _descendants(psutil.Process()) if not _has_ended(each)]


def processor_seconds() -> dict[int, float]:
    """What each of the servers' processes has used so far, by its id."""
    used: dict[int, float] = {}
    for process in of_servers():
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[process.pid] = times.user + times.system
    return used


def used_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """The processor seconds of the processes that are there at the end."""
    return sum(used - before.get(pid, 0.0) for pid, used in after.items())


def memory_mb() -> float:
    """The servers' proportional set size, in MB (10^6): a page that n share counts 1/n in each."""
    total = 0
    for process in of_servers():
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


def machine_seconds() -> float:
    """The processor seconds that all programs of this machine have used; without interrupts' own."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def own_seconds() -> float:
    """Of this process and of its children that have ended, such as the load generator."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def wait_until_dead(process: psutil.Popen, log: Path, until: float) -> None:
    """Raise when a server has ended, or the time is over."""
    if process.poll() is not None:
        raise SystemExit(f"{process.args} ended with code {process.returncode}. Its log:\n{tail(log)}")
    if time.monotonic() > until:
        raise SystemExit(f"{process.args} does not answer. Its log:\n{tail(log)}")


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(encoding="utf-8", errors="replace")[-3000:] if log.exists() else "(none)"


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120]
    except psutil.NoSuchProcess:
        return f"process {process.pid}"
