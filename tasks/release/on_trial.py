"""Versions that show what they have to: they stay loaded meanwhile, although nothing sends them requests yet.

That may take minutes, so it is done without holding the model's versions: a rollback waits for no test. A
file says what is tested; the kernel lets go of its lock when the process ends, however it ends.
"""

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tasks.contracts import Route
from tasks.serving.backend import exclusive
from tasks.settings import settings


@contextmanager
def on_trial(route: Route) -> Iterator[None]:
    """Let nobody unload a version until the block ends; the caller does not hold the model's versions."""
    file = settings().model_store / f".{route.model}.{uuid.uuid4().hex}.trial"
    with ExitStack() as end:
        with exclusive(route.model):  # so that nobody finds the file before it is locked
            trial = end.enter_context(file.open("w", encoding="utf-8"))
            end.callback(file.unlink, missing_ok=True)
            fcntl.flock(trial, fcntl.LOCK_EX)
            trial.write(route.model_dump_json())
            trial.flush()
        yield


def routes_on_trial(model: str) -> list[Route]:
    """The versions of a model that are tested now; the caller holds the model's versions."""
    found = (_tested(file) for file in sorted(settings().model_store.glob(f".{model}.*.trial")))
    return [route for route in found if route is not None]


def _tested(file: Path) -> Route | None:
    """What a file says; None, and it is removed, where whoever wrote it is gone."""
    try:
        with file.open(encoding="utf-8") as trial:
            try:
                fcntl.flock(trial, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Route.model_validate_json(trial.read())
            file.unlink(missing_ok=True)
    except FileNotFoundError:  # the test has ended meanwhile
        pass
    return None
