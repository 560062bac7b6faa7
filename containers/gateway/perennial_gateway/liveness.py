"""Which of the processes that have a row still live: those whose count of heartbeats goes on.

Each process measures by its own clock, so that clocks of several machines need not agree. A process of this
machine and container is dead as soon as its pid is.
"""

import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

DEAD_SECONDS = 3.0
"""Without a heartbeat; six are missed then."""


class Row(Protocol):
    """A row of the table `peers`, as far as its life is concerned."""

    name: str
    home: str
    pid: int
    beats: int


class Living:
    """What this process knows of the others' lives; threads may share it.

    Attributes:
        alone: Whether nobody else lived when the rows were looked at last.
    """

    def __init__(self, own_name: str, own_home: str) -> None:
        self._own_name = own_name
        self._own_home = own_home
        self._seen: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self.alone = True

    def others(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of the other processes that live."""
        living = [row for row in rows if row.name != self._own_name and self._lives(row)]
        self.alone = not living
        return living

    def gone(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of processes that do not live any more; nobody needs them."""
        living = {row.name for row in self.others(rows)}
        with self._lock:
            self._seen = {row.name: self._seen[row.name] for row in rows if row.name in self._seen}
        return [row for row in rows if row.name not in living and row.name != self._own_name]

    def _lives(self, row: Row) -> bool:
        if row.home == self._own_home and not _exists(row.pid):
            return False
        now = time.monotonic()
        with self._lock:
            beats, since = self._seen.get(row.name, (None, now))
            if beats != row.beats:
                since = now
            self._seen[row.name] = (row.beats, since)
        return now - since < DEAD_SECONDS


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
