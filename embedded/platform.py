"""`Platform`: start, watch and stop the whole platform from Python.

with Platform(home) as platform:
    print(platform.addresses.gateway, platform.airflow_token())
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from embedded import airflow, clone, guardian, health, mlflow, ports, processes, requirements, services
from embedded.errors import AlreadyRunning, PlatformError
from embedded.health import Addresses
from embedded.loop_watch import NAME as LOOP_WATCH
from embedded.private import Credentials, Secrets
from embedded.settings import EmbeddedSettings
from embedded.supervision import GAVE_UP, Program, State, Supervision
from embedded.variables import tell_unread
from tasks.runtime.processes import end_one
from tasks.settings import PROJECT
from tasks.variables import read

Progress = Callable[[str], None]
SERVICES = (*airflow.COMPONENTS, LOOP_WATCH, "mlflow", "torchserve", "inference", "gateway")
POLL_SECONDS = 0.25
WATCH_SECONDS = 1


def silent(_line: str) -> None:
    """Tell nothing."""


class Platform:
    """One platform on one state folder.

    Names of the services, as `processes`, `logs`, `kill` and `restart` use them: airflow-api-server,
    airflow-scheduler, airflow-dag-processor, airflow-triggerer, loop-watch, mlflow, torchserve, inference,
    gateway.

    Args:
        home: The state folder; None for the one that the settings name.
        settings: All settings, its state folder among them; None to read them.
        overrides: Settings that differ from the environment's (`EmbeddedSettings`).

    Raises:
        InvalidSettings: A setting is wrong that was to be read.
    """

    def __init__(
        self, home: Path | None = None, *, settings: EmbeddedSettings | None = None, **overrides: Any
    ) -> None:
        settings = settings or read(EmbeddedSettings, **overrides | ({"home": home} if home else {}))
        self.settings = settings.model_copy(
            update={"home": settings.home.absolute(), "environments": settings.environments.absolute()}
        )
        self.home = self.settings.home
        self._supervision = Supervision(self.home)
        self._guardian: subprocess.Popen[bytes] | None = None

    # --- start and stop -------------------------------------------------------------------------------------

    def start(self, progress: Progress = silent) -> Addresses:
        """Start every service and wait until all answer.
        What happens is told to `progress`, a line at a time.

        Raises:
            AlreadyRunning: The platform runs on this state folder; the message has its addresses.
            OtherClone: That of another clone runs on it.
            NoRoom, PortTaken: The machine cannot hold it.
            InvalidSettings: A setting of the steps, or of what Airflow runs, is wrong.
            PlatformError: Nothing can be written into the state folder; or a service did not come up, and
                everything is stopped again. The message then quotes its last log lines.
        """
        for line in tell_unread():
            progress(line)
        requirements.make_home(self.home)
        if self.running():
            clone.require_own(self.home)
            raise AlreadyRunning(self._already())
        requirements.check(self.settings)
        for command in processes.sweep(self.home):
            progress(f"Ended what an earlier platform left: {command}")
        chosen = ports.choose(self.settings)
        programs = services.programs(self.settings, chosen, Secrets.of(self.home))
        self._supervision.write(programs)
        self._start_guardian()
        clone.claim(self.home)
        try:
            self._migrate(programs, progress)
            self.wait_until_healthy(progress=progress)
        except BaseException:
            self.stop()
            raise
        return self.addresses

    def stop(self) -> list[str]:
        """Stop every service, and what is left of an earlier platform on this folder.

        Returns what was done, in sentences.

        Raises:
            OtherClone: What runs on it is another clone's.
        """
        done = []
        if self.running():
            clone.require_own(self.home)
        if pid := processes.guardian(self._supervision.lock):
            end_one(pid, patience_seconds=self.settings.stop_timeout_seconds)
            done.append("Stopped the platform.")
        self._let_go()
        return done + [f"Ended what was left of it: {command}" for command in processes.sweep(self.home)]

    def end(self) -> None:
        """Stop what this object has started, and nothing of a platform that was started on the folder since:
        where somebody else stopped ours, they have swept up, too.
        """
        if self._guardian is None:
            return
        if self._guardian.poll() == 0 or self.guardian not in {None, self._guardian.pid}:
            self._let_go()
        else:
            self.stop()

    def _let_go(self) -> None:
        """End our guardian, if it has not ended."""
        if self._guardian is None:
            return
        if self._guardian.stdin:
            self._guardian.stdin.close()
        if self._guardian.poll() is None:  # else its number may be another process's
            end_one(self._guardian.pid, patience_seconds=self.settings.stop_timeout_seconds)
            self._guardian.wait()
        self._guardian = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end()

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def addresses(self) -> Addresses:
        """Where the services of the last start answer."""
        return Addresses.of(ports.remembered_ports(self.home))

    @property
    def credentials(self) -> Credentials:
        return Credentials(airflow.USER, Secrets.of(self.home).airflow_password)

    @property
    def mlflow_credentials(self) -> Credentials:
        return Credentials(mlflow.USER, Secrets.of(self.home).mlflow_password)

    def airflow_token(self) -> str:
        """A bearer token for Airflow's REST API, good for a day."""
        return airflow.token(self.addresses.airflow, self.credentials.password)

    def variables(self) -> dict[str, str]:
        """What points `python -m tasks`, the `airflow` command and MLflow's client to this platform."""
        secrets, chosen = Secrets.of(self.home), ports.remembered_ports(self.home)
        return {**services.variables(self.settings, chosen, secrets), **mlflow.login(secrets)}

    def environment(self) -> dict[str, str]:
        """A whole environment for a child process: this process's own, cleaned, with `variables()`, and with
        `airflow` and `perennial` on its path.
        """
        own = services.clean_environment()
        path = [self.settings.environments / "control" / "bin", PROJECT, own.get("PATH", "")]
        return {**own, **self.variables(), "PATH": os.pathsep.join(map(str, path))}

    def running(self) -> bool:
        """Whether the platform runs on this folder, whoever started it."""
        return self.guardian is not None

    @property
    def guardian(self) -> int | None:
        """The process id of the guardian, the root of every
        process of the platform; None when it does not run.
        """
        return processes.guardian(self._supervision.lock)

    def processes(self) -> dict[str, int]:
        """The process id of each service that runs."""
        return {
            name: state.pid
            for name, state in self._supervision.states().items()
            if state.pid and name in SERVICES
        }

    def logs(self, name: str) -> Path:
        """The file that a service's output goes to."""
        return self._supervision.log(name)

    # --- accidents and repairs ------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """The process id of a service.

        Raises:
            PlatformError: It does not run now.
        """
        running = self.processes()
        if name not in running:
            raise PlatformError(f"{name} does not run. These do: {', '.join(sorted(running)) or 'none'}.")
        return running[name]

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a service's process, as an accident would. Returns its process id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def restart(self, name: str) -> None:
        """Stop a service in order and start it again; returns when it answers."""
        self._supervision.stop(name)
        self._supervision.start(name)
        self.wait_until_healthy(names=(name,))

    def wait_until_healthy(
        self,
        names: Iterable[str] = SERVICES,
        *,
        timeout_seconds: float | None = None,
        progress: Progress = silent,
    ) -> None:
        """Wait until these services answer.

        Raises:
            PlatformError: One does not within the time, or was given up; the message quotes its last log
                lines.
        """
        began, waiting = time.monotonic(), set(names)
        allowed = timeout_seconds or self.settings.start_timeout_seconds
        while waiting:
            answers = health.healthy(self.addresses, self.home, services.key_file(self.settings))
            ready = waiting & self._up() & answers
            for name in sorted(ready):
                progress(f"{name} answers after {time.monotonic() - began:.1f} s.")
            waiting -= ready
            if waiting and time.monotonic() - began > allowed:
                raise PlatformError(
                    f"No answer within {allowed:.0f} s from {self._supervision.last_lines(waiting)}",
                    services=sorted(waiting),
                )
            time.sleep(POLL_SECONDS if waiting else 0)

    def watch(self, progress: Progress = silent) -> None:
        """Stay until the platform is stopped, telling which services died and came back. One that somebody
        starts after that is another.

        Raises:
            PlatformError: It ended without having been asked to.
        """
        known, watched = self.processes(), self.guardian
        while watched is not None and self.guardian == watched:
            for name, state in self._supervision.states().items():
                if name in known and state.pid and state.pid != known[name]:
                    progress(
                        f"{name} ended and was started again (process {state.pid}). Its log: "
                        f"{self.logs(name)}"
                    )
                if state.state == GAVE_UP and known.get(name):
                    progress(f"{name} does not start any more. {self._supervision.last_lines([name])}")
                known[name] = state.pid
            time.sleep(WATCH_SECONDS)
        if self._guardian and self._guardian.wait() != 0:
            raise PlatformError(
                f"The platform ended by itself. {self.logs('supervisord')} and {self.logs('guardian')} may "
                "say why."
            )

    # --- inside ---------------------------------------------------------------------------------------------

    def _start_guardian(self) -> None:
        """Start the guardian in a session of its own, so that
        Ctrl-C reaches us alone, and wait until it holds the lock.

        Its standard input is a pipe that nobody writes to: it closes when this process ends, by whatever
        cause.
        """
        command = [
            sys.executable,
            "-m",
            "embedded.guardian",
            str(self._supervision.lock),
            *self._supervision.command(),
        ]
        environment = {
            **services.clean_environment(),
            processes.MARK: str(self.home),
            "PYTHONPATH": str(PROJECT),
        }
        with self.logs("guardian").open("ab") as log:
            self._guardian = subprocess.Popen(
                command,
                cwd=self._supervision.folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while self.guardian != self._guardian.pid or not self._supervision.states():
            if (status := self._guardian.poll()) is not None:
                self._guardian = None
                if status == guardian.ALREADY_GUARDED:
                    raise AlreadyRunning(self._already())
                raise PlatformError(
                    f"The supervisor did not start. {self._supervision.last_lines(['guardian'])}"
                )
            time.sleep(POLL_SECONDS / 5)

    def _migrate(self, programs: list[Program], progress: Progress) -> None:
        """Wait for the databases that have to be made or upgraded, and start what waits for each."""
        pending = {migration.name: migration for migration in services.migrations(self.settings)}
        if pending:
            progress("Preparing the databases of Airflow and MLflow (once).")
        until = time.monotonic() + self.settings.start_timeout_seconds
        while pending:
            for name in [name for name in pending if self._has_ended_well(name, until)]:
                pending.pop(name).finish()
                for program in programs:
                    if program.waits_for == name:
                        self._supervision.start(program.name)
            time.sleep(POLL_SECONDS)

    def _has_ended_well(self, name: str, until: float) -> bool:
        state = self._state(name)
        if state.state == "EXITED" and state.exit_status == 0:
            return True
        if state.state == "EXITED" or time.monotonic() > until:
            raise PlatformError(f"A database could not be prepared: {self._supervision.last_lines([name])}")
        return False

    def _state(self, name: str) -> State:
        states = self._supervision.states()
        if name not in states:
            raise PlatformError(f"The supervisor ended. {self._supervision.last_lines(['supervisord'])}")
        return states[name]

    def _up(self) -> set[str]:
        """The services whose process has stayed up; Airflow
        calls one healthy until its last heartbeat is 15 s old.

        Raises:
            PlatformError: One was given up.
        """
        states = self._supervision.states()
        if not states:
            raise PlatformError(f"The supervisor ended. {self._supervision.last_lines(['supervisord'])}")
        given_up = [name for name, state in states.items() if state.state == GAVE_UP]
        if given_up:
            raise PlatformError(
                f"Did not start, in four tries: {self._supervision.last_lines(given_up)}", services=given_up
            )
        return {name for name, state in states.items() if state.state == "RUNNING"}

    def _already(self) -> str:
        found = self.addresses
        return (
            f"Perennial is already running: Airflow {found.airflow}, MLflow {found.mlflow}, gateway "
            f"{found.gateway}. `make stop` stops it."
        )
