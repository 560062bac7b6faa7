"""The platform's MLflow server as a child process, and who logs in to it."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from plugins.runners.mlflow_login import KEY, PASSWORD, USERNAME, login_of, password_of
from tasks.settings import PROJECT, Settings
from tests.services.conftest import free_port
from tests.unit.steps import step_to_run

SCRIPTS = PROJECT / "containers" / "ml"
ADMIN = "admin"
IN_MODEL_S_ENVIRONMENT = frozenset({"preflight", "train", "package", "evaluate"})


@dataclass
class MlflowServer:
    """A server on a database.

    Attributes:
        admin_password: What it is told at its next start.
    """

    database_url: str
    artifacts: str
    folder: Path
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    admin_password: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Upgrade the database where it was not served yet, as the platform does, and serve."""
        environment = {
            **os.environ,
            KEY: self.key,
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.admin_password,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        upgrade = [sys.executable, str(SCRIPTS / "upgrade_mlflow.py"), self.database_url]
        serve = [sys.executable, str(SCRIPTS / "serve_mlflow.py"), "127.0.0.1", str(self.port)]
        log = self.folder / "mlflow.log"
        with log.open("ab") as output:
            if self.process is None:
                subprocess.run(upgrade, check=True, env=environment, stdout=output, stderr=output)
            self.process = subprocess.Popen(
                [*serve, self.database_url, self.artifacts], env=environment, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The MLflow server did not start:\n{log.read_text()[-2000:]}")
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
