"""A process of the gateway as its parent watches it: by asking, and never by waiting for the answer.

uvicorn's own waits up to `timeout_worker_healthcheck` for each answer, a minute here, for a process that
starts on a busy machine answers late. In that time it replaces no other process and looks at no signal, even
where the one that it waits for has died, since it holds that one's end of the pipe open itself.
"""

import time
from typing import Any

from uvicorn.supervisors import multiprocess


class Watched(multiprocess.Process):
    """A worker that counts as alive until it has not answered for long."""

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self._asked_at: float | None = None

    def is_alive(self, timeout: float = 5) -> bool:
        """Whether it runs, and has answered all questions, or the newest one is younger than `timeout`
        seconds.
        """
        if not self.process.is_alive():
            return False
        try:
            while self.parent_conn.poll(0):
                self.parent_conn.recv()
                self._asked_at = None
            if self._asked_at is None:
                self.parent_conn.send(b"ping")
                self._asked_at = time.monotonic()
        except (OSError, EOFError):
            return False
        return time.monotonic() - self._asked_at < timeout


def watch_without_waiting() -> None:
    """Let uvicorn make its workers of this class; it has no setting for that."""
    multiprocess.Process = Watched  # type: ignore[assignment,misc]
