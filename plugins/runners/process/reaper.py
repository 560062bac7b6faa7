"""Kill every process of a step when the one who runs it is gone.

Started as `python reaper.py <mark>` by the process runner, which holds the other end of our standard input.
That end closes when the step is over, is to be stopped, or its worker was killed, however hard; then each
process with `PERENNIAL_STEP=<mark>` in its environment is killed. The mark reaches what a process group and a
parent's death signal miss: grandchildren in sessions of their own, whose parents are dead.
"""

import sys
import time

import psutil

GIVE_UP_AFTER_SECONDS = 30


def find_marked(mark: str) -> list[psutil.Process]:
    """The running processes that carry the mark and that we may look at."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PERENNIAL_STEP") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def reap(mark: str) -> None:
    """Kill until none is left: one that is being killed may just have started another."""
    deadline = time.monotonic() + GIVE_UP_AFTER_SECONDS
    while (left := find_marked(mark)) and time.monotonic() < deadline:
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.02)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    reap(sys.argv[1])
