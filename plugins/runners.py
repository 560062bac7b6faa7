"""Where a heavy step runs: one small interface, one implementation a place, chosen by the setting `runner`.

Here a step is a child process in its own environment. Containers and pods come behind the same interface; no DAG changes.
"""

import codecs
import os
import re
import secrets
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from plugins import reaper
from tasks.errors import InvalidProject
from tasks.settings import settings

LONGEST_LINE = 8_000
WATCH_SECONDS = 0.5
REAPER_SECONDS = reaper.GIVE_UP_AFTER_SECONDS + 10


class WorkerLost(Exception):
    """The process that supervises this task is gone, so nobody hears of the step any more; raised by a runner."""


@dataclass(frozen=True)
class Step:
    """A run of a verb as plain data: request and result are files, `model` is whose environment it runs in."""

    verb: str
    request_file: Path
    result_file: Path
    model: str | None


class Runner(Protocol):
    """Runs one step from its request file to its result file.

    `run` hands each line that the step prints to `say`, as it is printed, and returns the step's exit code: that of
    `python -m tasks`, or minus the number of the signal that killed it. When `run` is left, by whatever way, nothing of the
    step runs any more; also when the process that called it is killed. `stop` ends it early and may be called from a signal
    handler.
    """

    def run(self, step: Step, say: Callable[[str], None]) -> int: ...

    def stop(self) -> None: ...


class ProcessRunner:
    """A child process with the model's own interpreter."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, step: Step, say: Callable[[str], None]) -> int:
        mark = secrets.token_hex(16)
        with _reaper(mark):
            child = self._child = _start(step, mark)
            try:
                for line in _lines(child):
                    say(line)
            finally:
                child.kill()
                child.wait()
            return child.returncode

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


def runner() -> Runner:
    """The runner that the settings name.

    Raises:
        InvalidProject: There is no such runner.
    """
    name = settings().runner
    if name not in RUNNERS:
        raise InvalidProject(f"PERENNIAL_RUNNER is {name!r}. Set it to one of {sorted(RUNNERS)}.")
    return RUNNERS[name]()


RUNNERS: dict[str, Callable[[], Runner]] = {"process": ProcessRunner}


def _start(step: Step, mark: str) -> subprocess.Popen[bytes]:
    python = settings().python(step.model)
    if not python.exists():
        raise InvalidProject(f"{python} is not there, so {step.verb!r} cannot run. Run `make setup`.")
    files = ["--request", str(step.request_file), "--result", str(step.result_file)]
    return subprocess.Popen(
        [str(python), "-m", "tasks", step.verb, *files],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=settings().project,
        env=_environment(python, mark),
        start_new_session=True,
    )


def _environment(python: Path, mark: str) -> dict[str, str]:
    """Ours without Airflow's settings and secrets and without our own interpreter's paths, as if the step's were activated."""
    foreign = re.compile(r"_?AIRFLOW|PYTHONPATH$|PYTHONHOME$|VIRTUAL_ENV$")
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    path = os.pathsep.join([str(python.parent), kept.get("PATH", os.defpath)])
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "PERENNIAL_STEP": mark}


@contextmanager
def _reaper(mark: str) -> Iterator[None]:
    """While this lasts, our death is the step's death; afterwards nothing of the step is left."""
    command = [sys.executable, "-I", str(Path(reaper.__file__)), mark]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        process.communicate(timeout=REAPER_SECONDS)


def _lines(child: subprocess.Popen[bytes]) -> Iterator[str]:
    """What the child prints, line by line, until it has ended.

    A grandchild that keeps the pipe open does not keep us. A progress bar's carriage return ends a line too, and a line without
    an end is cut, so that memory stays bounded.

    Raises:
        WorkerLost: Our parent has changed.
    """
    parent, output, text = os.getppid(), child.stdout, ""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while output is not None:
        if select.select([output], [], [], WATCH_SECONDS)[0]:
            chunk = os.read(output.fileno(), 65_536)
            *whole, text = re.split(r"[\r\n]+", text + decoder.decode(chunk, final=not chunk))
            yield from _cut(whole)
            while len(text) >= LONGEST_LINE:
                yield text[:LONGEST_LINE]
                text = text[LONGEST_LINE:]
            output = output if chunk else None
        elif child.poll() is not None:
            output = None
        _require(parent)
    yield from _cut([text])
    while child.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(WATCH_SECONDS)
        _require(parent)


def _cut(lines: list[str]) -> Iterator[str]:
    for line in filter(str.strip, lines):
        for start in range(0, len(line), LONGEST_LINE):
            yield line[start : start + LONGEST_LINE].rstrip()


def _require(parent: int) -> None:
    if os.getppid() != parent:
        raise WorkerLost("The worker that supervises this task is gone; the step is stopped, and the task will be tried again.")
