"""Run a program that cannot outlive this process, however this process ends.

The child runs in a session of its own behind a small guard (this module as a program), which holds the read
end of a pipe. When the one who asked dies, even by SIGKILL, the pipe closes and the guard kills the whole
session.
"""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.runtime.processes import kill_session

TAIL_LINES = 30


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (negative for a
    signal), the end of its output, and whether its time ran out.
    """

    code: int
    tail: str
    timed_out: bool


def run(
    command: Sequence[str],
    *,
    log: Path,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Ended:
    """Run `command` to its end; its output goes to `log` and, line by line, to this process's own output.

    Args:
        environment: Variables beside those of this process.
        folder: Where the program runs.

    Raises:
        OSError: The log cannot be written, as on a disk that is full; the program was stopped.
    """
    from tasks.settings import PROJECT  # the guard, this module as a program, has no use for it

    log.parent.mkdir(parents=True, exist_ok=True)
    guarded = [sys.executable, "-m", "tasks.runtime.child", str(folder or Path.cwd()), *command]
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with subprocess.Popen(
        guarded,
        cwd=PROJECT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        unwritten: list[OSError] = []
        reader = threading.Thread(target=_pass_on, args=(process, log, tail, unwritten))
        reader.start()
        timed_out = _wait(process, timeout_seconds)
        reader.join()
    if unwritten:
        raise unwritten[0]
    return Ended(process.returncode, "".join(tail).strip(), timed_out)


def _wait(process: subprocess.Popen[str], timeout_seconds: float) -> bool:
    """Wait for the end of the session, its strays included; returns whether the time ran out."""
    try:
        process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        return True
    finally:
        kill_session(process.pid)
        process.wait()
    return False


def _pass_on(process: subprocess.Popen[str], log: Path, tail: deque[str], unwritten: list[OSError]) -> None:
    """Pass on each line.

    A program whose output nobody reads would wait for ever: one whose log has no room is stopped.
    """
    try:
        with log.open("w", encoding="utf-8") as file:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                tail.append(line)
                file.write(line)
                file.flush()
    except OSError as error:
        unwritten.append(error)
        kill_session(process.pid)


def _guard(folder: str, command: Sequence[str]) -> int:
    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    threading.Thread(target=_kill_when_orphaned, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _kill_when_orphaned() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written: this returns when the other end is closed
    kill_session(0)


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1], sys.argv[2:]))
