"""The platform's MLflow server as a child process, and who logs in to it."""

import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from werkzeug.security import generate_password_hash

from embedded.ports import free_port
from plugins.runners.mlflow_login import KEY, PASSWORD, USERNAME, login_of, password_of
from tasks.settings import PROJECT, Settings
from tests.unit.steps import step_to_run

SCRIPTS = PROJECT / "containers" / "ml"
UPGRADE_AND_SERVE = """
import sys
scripts, host, port, *urls = sys.argv[1:]
sys.path.insert(0, scripts)
import serve_mlflow
serve_mlflow.main(host, int(port), *urls, upgrade=True)
"""
ADMIN = "admin"
IN_MODEL_S_ENVIRONMENT = frozenset({"preflight", "check_labels", "train", "package", "evaluate", "reproduce"})


@dataclass
class MlflowServer:
    """A server on a database."""

    database_url: str
    artifacts: str
    folder: Path
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    admin_password: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / "mlflow.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def upgrade(self) -> None:
        """Make the tables of the users too, as the platform does before it serves."""
        self._run(str(SCRIPTS / "upgrade_mlflow.py"), self.database_url).wait(120)

    def add_admin(self, password: str) -> None:
        """An administrator of an earlier day."""
        file = self.database_url.removeprefix("sqlite:///")
        values = (ADMIN, generate_password_hash(password), True)
        with sqlite3.connect(file) as database:
            database.execute("INSERT INTO users (username, password_hash, is_admin) VALUES (?, ?, ?)", values)

    def start(self, *, upgrade: bool = False) -> None:
        """Serve, and wait until it answers.

        Args:
            upgrade: Whether to `upgrade` first, in the same process: importing MLflow takes seconds.
        """
        serve = ["-c", UPGRADE_AND_SERVE, str(SCRIPTS)] if upgrade else [str(SCRIPTS / "serve_mlflow.py")]
        self.process = self._run(*serve, "127.0.0.1", str(self.port), self.database_url, self.artifacts)
        deadline = time.monotonic() + 120
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The MLflow server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def admin(self) -> dict[str, str]:
        """What the administrator's client logs in with."""
        return {USERNAME: ADMIN, PASSWORD: self.admin_password}

    def user(self, name: str) -> dict[str, str]:
        """What a user of the steps logs in with."""
        return {USERNAME: name, PASSWORD: password_of(name, self.key)}

    def step(self, verb: str, model: str) -> dict[str, str]:
        """What a step of this verb is told, as every runner tells it."""
        step = step_to_run(self.folder, verb=verb, model=model if verb in IN_MODEL_S_ENVIRONMENT else None)
        return login_of(step, Settings(mlflow_key=self.key))

    def _run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            KEY: self.key,
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.admin_password,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with self.log.open("ab") as output:
            command = [sys.executable, *arguments]
            return subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except requests.RequestException:
            return False


@contextmanager
def logged_in(login: dict[str, str]) -> Iterator[None]:
    """Let MLflow's client in this process be somebody."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in login.items():
            patched.setenv(name, value)
        yield
