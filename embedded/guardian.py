"""Keep the platform's processes together: `python guardian.py
LOCK COMMAND...` runs supervisord and leaves no orphans.

The guardian is the parent of supervisord and, as the kernel's child subreaper, becomes the parent of every
process below it that loses its own: the workers of a scheduler that was killed, the step of a task that was
killed. Such a process is killed, so that its work is done once, by the program's next start, and its ports
are free.

It ends, and everything with it, when its standard input closes (whoever started it is gone, however), on
SIGTERM, SIGINT or SIGHUP, and when supervisord ends. supervisord itself ends when the guardian is killed, by
the kernel's parent-death signal; what loses its parent then has no guardian to go to, so that a witness kills
it: a process that does nothing until both are gone.
"""

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from embedded.launch import START_MARK, die_with_parent
from tasks.runtime import processes
from tasks.runtime.processes import kill

PR_SET_CHILD_SUBREAPER = 36
ALREADY_GUARDED = 3
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 25


class Guardian:
    """Watches one supervisord."""

    def __init__(self, command: list[str]) -> None:
        self._wakeup_reader, wakeup_writer = os.pipe()
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        guardian, start = os.getpid(), uuid.uuid4().hex
        # supervisord has no use for its standard input, and does not hand it on to its programs.
        watched, held = os.pipe()
        self.witness = subprocess.Popen(
            [sys.executable, "-m", processes.__name__, START_MARK, start],
            stdin=watched,
            start_new_session=True,
        ).pid
        self.supervisor = subprocess.Popen(
            command,
            stdin=held,
            env={**os.environ, START_MARK: start},
            preexec_fn=lambda: die_with_parent(guardian),  # noqa: PLW1509 - this process has one thread
        ).pid
        os.close(watched)
        self.supervisor_runs = True

    def watch(self) -> int:
        """Watch until asked to end.

        Returns 0 for an end that was asked for, 1 when supervisord ended by itself.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._owner_is_gone)
            selector.register(self._wakeup_reader, selectors.EVENT_READ, self._wake)
            while self.supervisor_runs and not self._asked:
                for key, _events in selector.select(POLL_SECONDS):
                    key.data()
                self._reap()
                self._kill_orphans()
        asked = self._asked
        self._end()
        return 0 if asked else 1

    def _ask(self, *_signal: object) -> None:
        self._asked = True

    def _owner_is_gone(self) -> None:
        if not os.read(sys.stdin.fileno(), 1):
            self._asked = True

    def _wake(self) -> None:
        os.read(self._wakeup_reader, 512)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                self.supervisor_runs = self.supervisor_runs and pid != self.supervisor

    def _kill_orphans(self) -> None:
        spared = {self.witness, self.supervisor} if self.supervisor_runs else {self.witness}
        for pid in set(self._children()) - spared:
            kill(pid)

    def _end(self) -> None:
        """Let supervisord stop its programs in order; then
        kill what is left, and what its death leaves to us.
        """
        if self.supervisor_runs:
            os.kill(self.supervisor, signal.SIGTERM)
        until = time.monotonic() + PATIENCE_SECONDS
        while set(self._children()) - {self.witness}:
            if time.monotonic() > until:
                self.supervisor_runs = False
            self._kill_orphans()
            time.sleep(0.05)
            self._reap()
        kill(self.witness)

    @staticmethod
    def _children() -> list[int]:
        """This process's own children and those that it inherited."""
        return [
            int(pid)
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
        ]


def become_subreaper() -> None:
    """Inherit every orphan below this process (Linux 3.4)."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


def main() -> None:
    """Hold the lock, whose file has our process id, for as long as anything of the platform runs."""
    lock, command = Path(sys.argv[1]), sys.argv[2:]
    with lock.open("a+", encoding="ascii") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(ALREADY_GUARDED)
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        become_subreaper()
        status = Guardian(command).watch()
    sys.exit(status)


if __name__ == "__main__":
    main()
