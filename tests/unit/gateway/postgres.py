"""A PostgreSQL of one test, where the program is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def postgres_url() -> Iterator[str]:
    """An empty database on a socket of its own, until the block ends."""
    initdb, pg_ctl = shutil.which("initdb"), shutil.which("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed here")
    with tempfile.TemporaryDirectory(prefix="perennial-pg-") as name:
        folder = Path(name)
        how = _unprivileged(folder)
        data = folder / "data"
        make = [initdb, "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(make, check=True, **how)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run = [pg_ctl, "-D", data, "-l", folder / "log", "-w"]
        subprocess.run([*run, "-o", options, "start"], check=True, **how)
        try:
            yield f"postgresql+psycopg://test@/postgres?host={folder}"
        finally:
            subprocess.run([*run, "-m", "immediate", "stop"], check=True, **how)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """How to run it as somebody else than root, which it refuses."""
    how: dict[str, Any] = {"stdout": subprocess.DEVNULL}
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        how |= {"user": "nobody", "group": "nogroup", "cwd": folder}
    return how
