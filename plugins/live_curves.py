"""Hand on to Airflow what a training that is followed says of itself, while it runs.

The step leaves a small file in its folder (`tasks.training.live`), since it runs a team's own program and has
no login of the platform. The worker that follows the step puts it into Airflow's state store of the task,
from which the Models pages read. So it reaches them from a machine behind a firewall, too, that has no
database.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from upath import UPath

from tasks.contracts import TrainingCurves

KEY = "training_curves"
VERB = "train"
LOOK_SECONDS = 3.0
GIVE_UP_SECONDS = 30.0
LARGEST_BYTES = 64_000
"""As much as Airflow keeps without a warning; a record is smaller."""


@dataclass
class HandingOn:
    """A file of curves, and Airflow's state store of the task, where they go.

    What goes wrong is told once and ends no training. A record goes with its run: that of the newest training
    stays, however long ago it was.
    """

    file: UPath
    memory: Any
    log: logging.Logger
    last: str = ""
    said: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Hand on what is new."""
        try:
            text = self._text()
            if text and text != self.last:
                record = TrainingCurves.model_validate_json(text)
                self.memory.set(KEY, record.model_dump(mode="json"), retention=_never())
                self.last = text
        except ValidationError as error:
            self._tell(f"they break their contract in {error.error_count()} places")
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on without them
            self._tell(f"{type(error).__name__}: {error}")

    def _text(self) -> str:
        """What the file says; nothing where there is none yet, or something that no step of ours wrote."""
        try:
            with self.file.open("rb") as opened:
                content = opened.read(LARGEST_BYTES + 1)
        except FileNotFoundError:
            return ""
        if len(content) > LARGEST_BYTES:
            self._tell(f"{self.file.name} has more than {LARGEST_BYTES:,} bytes")
            return ""
        return content.decode(errors="replace")

    def _tell(self, why: str) -> None:
        if why not in self.said:
            self.said.add(why)
            self.log.warning("The curves of this training are not shown on the Models pages: %s.", why)


@contextmanager
def curves_shown(verb: str, file: UPath, memory: Any, log: logging.Logger) -> Iterator[None]:
    """Hand a training's curves on for as long as its step is followed, and once more at the end.

    Args:
        verb: Of the step; of another one than the training there is nothing to do.
        file: What the step writes.
        memory: Airflow's state store of the task; None where there is none.
    """
    if verb != VERB or memory is None:
        yield
        return
    handing, ended = HandingOn(file, memory, log), threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            handing.look()
        handing.look()

    thread = threading.Thread(target=watch, name="hand-on-curves", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(GIVE_UP_SECONDS)


def _never() -> Any:
    """Imported where it is needed: every parse of a DAG file would pay for the worker's part of Airflow."""
    from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # its stubs lack it

    return NEVER_EXPIRE
