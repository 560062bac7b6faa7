"""Steps as child processes in their own environments: the embedded platform's runner.

Nothing of a step outlives its worker.
"""

import os
import re
import secrets
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from plugins.runners.environment import withheld
from plugins.runners.lines import Lines
from plugins.runners.mlflow_login import LOGIN, login_of
from plugins.runners.step import Ended, Left, Say, State, Step
from plugins.runners.worker import require
from tasks.errors import InvalidProject
from tasks.runtime import processes
from tasks.settings import PROJECT, settings

WATCH_SECONDS = 0.5
MARK = "PERENNIAL_STEP"
REAPER_SECONDS = processes.GIVE_UP_SECONDS + 10


class ProcessRunner:
    """A child process with the model's own interpreter.

    When `follow` is left, by whatever way, nothing of it runs any more.
    """

    outlives = False

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._reaper: subprocess.Popen[bytes] | None = None

    def submit(self, step: Step, begin: Callable[[], object]) -> str:
        """Start the child, and before it the reaper: our death is the step's death.

        Raises:
            InvalidProject: Its environment is missing.
        """
        python = _python(step)
        begin()
        mark = secrets.token_hex(16)
        command = [sys.executable, "-m", processes.__name__, MARK, mark]
        self._reaper = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, start_new_session=True)
        self._child = _start(step, python, mark)
        return str(self._child.pid)

    def state(self, job: str, step: Step) -> State:  # noqa: ARG002 - nothing outlives its worker
        return "gone"

    def follow(self, job: str, step: Step, say: Say, since: str | None, seen: Callable[[str], None]) -> Ended:  # noqa: ARG002
        child = self._child
        if child is None:
            return Ended(1, f"The process {job} was not started here.")
        try:
            for line in _lines(child):
                say(line)
        finally:
            self.remove(job)
        return Ended(child.returncode)

    def remove(self, job: str) -> None:  # noqa: ARG002
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        if self._reaper is not None:
            self._reaper.communicate(timeout=REAPER_SECONDS)
            self._reaper = None

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()

    def list_left(self) -> list[Left]:
        return []


def _python(step: Step) -> Path:
    python = settings().python(step.model)
    if not python.exists():
        raise InvalidProject(f"{python} is not there, so {step.verb!r} cannot run. Run `make setup`.")
    return python


def _start(step: Step, python: Path, mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(python), "-m", "tasks", step.verb, "--request", step.request_url, "--result", step.result_url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=settings().project,
        env=_environment(step, python, mark),
        start_new_session=True,
    )


def _environment(step: Step, python: Path, mark: str) -> dict[str, str]:
    """Ours without Airflow's settings and secrets, without what only other steps need to know, and
    without our own interpreter's paths, as if the step's were activated.
    """
    foreign = re.compile(r"_?AIRFLOW|PYTHONPATH$|PYTHONHOME$|VIRTUAL_ENV$")
    login = login_of(step, settings())
    kept_back = withheld(step.verb) | (LOGIN if login else frozenset())
    kept = {
        name: value for name, value in os.environ.items() if not foreign.match(name) and name not in kept_back
    }
    path = os.pathsep.join([str(python.parent), kept.get("PATH", os.defpath)])
    return kept | login | {"PATH": path, "PYTHONUNBUFFERED": "1", MARK: mark}


def _lines(child: subprocess.Popen[bytes]) -> Iterator[str]:
    """What the child prints, line by line, until it has ended.
    A grandchild that keeps the pipe open does not keep us.

    Raises:
        WorkerLost: Our parent has changed.
    """
    parent, output, lines = os.getppid(), child.stdout, Lines()
    while output is not None:
        if select.select([output], [], [], WATCH_SECONDS)[0]:
            chunk = os.read(output.fileno(), 65_536)
            yield from lines.feed(chunk)
            output = output if chunk else None
        elif child.poll() is not None:
            output = None
        require(parent)
    yield from lines.end()
    while child.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(WATCH_SECONDS)
        require(parent)
