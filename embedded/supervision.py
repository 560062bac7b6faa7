"""supervisord: its configuration, written below home, and its state, asked for over a private Unix socket."""

import configparser
import contextlib
import hashlib
import http.client
import json
import os
import shlex
import sys
import tempfile
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedded import launch
from embedded.errors import PlatformError
from embedded.private import write_private

GROUP = "perennial"
INTERFACE = "supervisor.rpcinterface:make_main_rpcinterface"
LONGEST_SOCKET_PATH = 100
GAVE_UP = "FATAL"
QUOTED_LINES = 15
CONFIGURATION = "supervisord.conf"


@dataclass(frozen=True)
class Program:
    """A program to keep running.

    Attributes:
        start_seconds: How long it must live to count as started; it is tried four times, then given up.
        stop_seconds: How long it may take to end on SIGTERM before it is killed with everything that it
            forked.
        once: It ends by itself and is not started again.
        waits_for: The program that has to end well before this one is started; None to start at once.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    start_seconds: int = 3
    stop_seconds: int = 8
    once: bool = False
    waits_for: str | None = None


@dataclass(frozen=True)
class State:
    """What supervisord says of a program. `exit_status` is of its last end; -9 for a kill."""

    name: str
    state: str
    pid: int
    exit_status: int
    explanation: str


class Supervision:
    """One supervisord on one state folder.

    Its configuration holds relative paths only, because its parser has comments and expansions that a path
    may contain.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "supervisor"
        self.logs = home / "logs"
        self.lock = self.folder / "guardian.lock"

    @property
    def socket(self) -> Path:
        """The kernel refuses socket paths of 108 bytes and
        more: for a deep home it lies in the temporary folder.
        """
        path = self.folder / "supervisor.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"perennial-{os.getuid()}-{digest}", "supervisor.sock")

    def log(self, name: str) -> Path:
        """The file that a program's output goes to."""
        return self.logs / f"{name}.log"

    def last_lines(self, names: Iterable[str]) -> str:
        """The last log lines of each program."""
        return "\n".join(
            f"{name}; the end of {self.log(name)}:\n{_tail(self.log(name))}" for name in sorted(names)
        )

    def write(self, programs: Iterable[Program]) -> None:
        """Write the configuration and, privately, each program's command and environment."""
        for folder in (self.folder, self.socket.parent):
            _make_private(folder)
        self.logs.mkdir(parents=True, exist_ok=True)
        launcher = shlex.join([sys.executable, "-I", "-S", launch.__file__])
        (self.folder / "launch.sh").write_text(f'exec {launcher} "$1.json"\n', encoding="utf-8")
        programs = list(programs)
        for program in programs:
            write_private(
                self.folder / f"{program.name}.json", json.dumps(asdict(program), default=str, indent=2)
            )
        parser = configparser.RawConfigParser()
        parser.read_dict(
            {
                "supervisord": _daemon(),
                "unix_http_server": {
                    "file": self.socket.name if self.socket.parent == self.folder else self.socket,
                    "chmod": "0600",
                },
                "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": INTERFACE},
                f"group:{GROUP}": {"programs": ",".join(program.name for program in programs)},
                **{f"program:{program.name}": _section(program) for program in programs},
            }
        )
        with (self.folder / CONFIGURATION).open("w", encoding="utf-8") as file:
            parser.write(file)

    def command(self) -> list[str]:
        """The command that runs supervisord in the foreground, from `folder`."""
        return [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "--nodaemon",
            "--configuration",
            CONFIGURATION,
        ]

    def states(self) -> dict[str, State]:
        """Each program's state; empty when supervisord does not answer, or is about to end."""
        try:
            with self._server() as server:
                answers: Any = server.supervisor.getAllProcessInfo()
        except (OSError, http.client.HTTPException):
            return {}
        except xmlrpc.client.Fault as error:
            if error.faultString != "SHUTDOWN_STATE":
                raise
            return {}
        return {str(info["name"]): _state(info) for info in answers}

    def start(self, name: str) -> None:
        """Start a program that waits, was stopped, or was given up; one that runs is left alone."""
        with self._server() as server, _unless("ALREADY_STARTED"):
            server.supervisor.startProcess(f"{GROUP}:{name}", False)  # noqa: FBT003 - XML-RPC knows no keywords

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has ended."""
        with self._server() as server, _unless("NOT_RUNNING"):
            server.supervisor.stopProcess(f"{GROUP}:{name}")

    @contextlib.contextmanager
    def _server(self) -> Iterator[Any]:
        # Imported here: the command `perennial` finds a platform in an environment that has no supervisor.
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
                yield server
        finally:
            transport.close()


def _state(info: dict[str, Any]) -> State:
    return State(info["name"], info["statename"], info["pid"], info["exitstatus"], info["spawnerr"])


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PlatformError(
            f"{folder} belongs to another user. Remove it, or set TMPDIR to a folder of your own."
        )
    folder.chmod(0o700)


def _daemon() -> dict[str, Any]:
    return {
        "logfile": "../logs/supervisord.log",
        "logfile_maxbytes": "5MB",
        "logfile_backups": 1,
        "pidfile": "supervisord.pid",
        "childlogdir": "../logs",
    }


def _section(program: Program) -> dict[str, Any]:
    return {
        "command": f"/bin/sh launch.sh {program.name}",
        "autostart": program.waits_for is None,
        "autorestart": not program.once,
        "startsecs": 0 if program.once else program.start_seconds,
        "startretries": 3,
        "stopwaitsecs": program.stop_seconds,
        "stopasgroup": True,
        "killasgroup": True,
        "redirect_stderr": True,
        "stdout_logfile": f"../logs/{program.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 1,
    }


@contextlib.contextmanager
def _unless(fault: str) -> Iterator[None]:
    try:
        yield
    except xmlrpc.client.Fault as error:
        if not str(error.faultString).startswith(fault):
            raise


def _tail(file: Path) -> str:
    if not file.exists():
        return "    (it wrote nothing)"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[-QUOTED_LINES:]
    return "\n".join(f"    {line}" for line in lines)
