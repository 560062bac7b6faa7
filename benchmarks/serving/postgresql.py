"""A PostgreSQL of the benchmark's own, where the machine has one installed."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.serving.processes import running, wait_until_dead
from embedded.ports import free_port

ACCOUNT = "postgres"
"""Whom it runs as where this process is root's, for which it refuses to start."""
START_SECONDS = 30


@cache
def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; Debian keeps them off the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return installed[-1].parent if installed else Path(on_path).parent if on_path else None


def missing_postgresql() -> str | None:
    """Why no PostgreSQL can be started here."""
    if programs() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and ACCOUNT not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"PostgreSQL does not run as root, and there is no account {ACCOUNT}"
    return None


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """An empty database until the block ends, with PostgreSQL's own settings; its URL."""
    with server(folder) as made, made.running():
        yield made.url


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that may run and stop several times on the same data."""

    command: list[str]
    programs: Path
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://bench@127.0.0.1:{self.port}/postgres"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the block ends."""
        with running(self.command, {}, self.log, Path("/")) as process:
            until = time.monotonic() + START_SECONDS
            while not _accepts(self.programs, self.port):
                wait_until_dead(process, self.log, until)
                time.sleep(0.05)
            yield
            process.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM waits for its clients to leave


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """An empty database with PostgreSQL's own settings, which does not run yet."""
    bin_folder, port, log = programs(), free_port(), folder / "postgresql.log"
    assert bin_folder is not None, "ask missing_postgresql first"
    # Another account has to reach it, and the benchmark's own folder is private.
    with tempfile.TemporaryDirectory(prefix="perennial-postgresql-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, ACCOUNT)
        data = f"{name}/data"
        made = [f"{bin_folder}/initdb", "--auth=trust", "--username=bench", "--encoding=UTF8", data]
        subprocess.run([*_as_account(), *made], check=True, capture_output=True, cwd="/")
        command = [f"{bin_folder}/postgres", "-D", data, "-p", str(port), "-k", name, "-h", "127.0.0.1"]
        yield Server([*_as_account(), *command], bin_folder, port, log)


def _accepts(bin_folder: Path, port: int) -> bool:
    asked = [f"{bin_folder}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0


def _as_account() -> list[str]:
    return (
        ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"] if os.geteuid() == 0 else []
    )
