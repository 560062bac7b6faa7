"""The watcher of the loop as a process of the embedded platform."""

import time
from pathlib import Path

from embedded.settings import EmbeddedSettings
from embedded.supervision import Program

NAME = "loop-watch"
FRESH_SECONDS = 120
"""It looks every 20 s at most, and a look may wait a minute for a database."""


def mark(home: Path) -> Path:
    """The file that it touches at each look."""
    return home / NAME / "looked"


def program(settings: EmbeddedSettings, environment: dict[str, str]) -> Program:
    """What keeps it running, its folder prepared. It knows what Airflow's processes know: it sends by the
    same connections.
    """
    folder = settings.home / NAME
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = (str(settings.python("control")), "-m", "plugins.loop_watch", str(mark(settings.home)))
    return Program(NAME, command, environment, folder)


def healthy(home: Path) -> bool:
    """Whether it has looked a short while ago."""
    file = mark(home)
    return file.exists() and time.time() - file.stat().st_mtime < FRESH_SECONDS
