"""A hand on a platform that runs in containers: its address,
its Airflow, its services to look into and to break.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.models.containers import Container

from demo.airflow import Airflow
from tasks.settings import PROJECT
from tests.containers.said import said

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


@dataclass(frozen=True)
class Stack:
    """One platform by docker-compose.yaml under a project name and with secrets and ports of its own.

    Attributes:
        project: What the names of its containers, networks and volumes start with.
        folder: Holds its .env and .env.airflow, and its certificate as tls.crt once it runs.
        engine: The Docker SDK's client, for what no method here does.
        images: The file that says which images it runs, as `make images` writes it.
    """

    project: str
    folder: Path
    engine: docker.DockerClient
    images: Path

    @property
    def variables(self) -> dict[str, str]:
        """What makes `make` and the scripts mean this platform."""
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "ENV_FILE": str(self.folder / "env"),
            "AIRFLOW_ENV_FILE": str(self.folder / "env.airflow"),
            "IMAGES_FILE": str(self.images),
        }

    def make(
        self, target: str, *, timeout_seconds: float = 600, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `make TARGET NAME=value ...` in the clone; what it printed is in stdout."""
        return subprocess.run(
            ["make", target, *(f"{name}={value}" for name, value in variables.items())],
            cwd=PROJECT,
            env={**os.environ, **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def perennial(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `./perennial WORD...` in another folder than the clone's."""
        return subprocess.run(
            [str(PROJECT / "perennial"), *words],
            cwd=self.folder,
            env={**os.environ, **self.variables, "PERENNIAL_ON": "containers"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def compose(self, *words: str) -> None:
        """Run Compose for this platform, by hand as docs/compose.md says."""
        script = '. containers/compose/common.sh; need_compose; name_project; compose "$@"'
        command = ["sh", "-c", script, "containers/compose/by-hand", *words]
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def set(self, **settings: str) -> None:
        """Change names of .env, as a user would with an editor; the next `make up` applies them."""
        file = self.folder / "env"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        kept = [line for line in lines if line.partition("=")[0] not in settings]
        file.write_text(
            "\n".join([*kept, *(f"{name}={value}" for name, value in settings.items())]) + "\n",
            encoding="utf-8",
        )

    def setting(self, name: str) -> str:
        """The value of a name in .env."""
        lines = (self.folder / "env").read_text(encoding="utf-8").splitlines()
        return next(line.partition("=")[2] for line in reversed(lines) if line.startswith(f"{name}="))

    # --- from outside ---------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"https://localhost:{self.setting('HTTPS_PORT')}"

    @property
    def certificate(self) -> Path:
        """The self-signed certificate, fetched from the entrance."""
        file = self.folder / "tls.crt"
        if not file.exists():
            file.write_bytes(self.exec("entrance", "cat", "/var/tmp/tls.crt"))
        return file

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask the entrance, its certificate checked."""
        options = {"timeout": 60, "allow_redirects": False, "verify": str(self.certificate)} | options
        return requests.request(method, self.address + path, **options)

    def token(self) -> str:
        """A bearer token of Airflow's for the first user."""
        login = {"username": self.setting("ADMIN_USER"), "password": self.setting("ADMIN_PASSWORD")}
        answer = self.ask("POST", "/auth/token", json=login)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    @property
    def airflow(self) -> Airflow:
        """Airflow's REST API through the entrance: `unpause`,
        `trigger`, `wait`, `run`, `tasks`, `result`, `call`.
        """
        os.environ["REQUESTS_CA_BUNDLE"] = str(self.certificate)
        return Airflow(self.address, self.token)

    def predict(self, model: str, *instances: dict[str, Any]) -> requests.Response:
        body = {"instances": list(instances)}
        return self.ask("POST", f"/v1/models/{model}/predict", json=body, headers=self.bearer)

    @property
    def bearer(self) -> dict[str, str]:
        """What a user of the models sends."""
        return {"Authorization": f"Bearer {self.setting('PREDICTION_TOKEN')}"}

    # --- from inside ----------------------------------------------------------------------------------------

    def containers(self, *services: str) -> list[Container]:
        """The containers of these services, or of all; those that have ended too."""
        found = self.engine.containers.list(all=True, filters={"label": f"{PROJECT_LABEL}={self.project}"})
        return [one for one in found if not services or one.labels[SERVICE_LABEL] in services]

    def container(self, service: str) -> Container:
        """The one container of a service."""
        (found,) = self.containers(service)
        return found

    def steps(self) -> list[Container]:
        """The containers of steps, running or not; each has
        the labels `perennial.step`, `.task`, `.try` and so on.
        """
        ours = {"label": f"perennial.installation={self.project}"}
        return list(self.engine.containers.list(all=True, filters=ours, ignore_removed=True))

    def exec(self, service: str, *command: str) -> bytes:
        """What a command prints in a service's container; it must end well, and may run more than once."""
        code, output = said(self.container(service), *command)
        assert code == 0, f"{command} in {service} ended with {code}: {output.decode()[-2000:]}"
        return output

    def in_step(self, program: str, *arguments: str) -> str:
        """What a Python program prints in a container like a
        step's: its image, its network, and a worker's settings.
        """
        known = (line.partition("=") for line in self.container("worker-default").attrs["Config"]["Env"])
        settings = {
            name: value for name, _, value in known if name.startswith(("PERENNIAL_", "AWS_", "MLFLOW_"))
        }
        output = self.engine.containers.run(
            self.setting("STEP_IMAGE"),
            ["python", "-c", program, *arguments],
            environment=settings | {"PERENNIAL_CODE_COMMIT": ""},
            network=f"{self.project}_steps",
            remove=True,
        )
        return output.decode()

    def python(self, program: str, service: str = "worker-default") -> str:
        """What a Python program prints in a service's container, in the environment of that service."""
        return self.exec(service, "python", "-c", program).decode()

    def kill(self, service: str) -> None:
        """Kill a service as a crash would.

        Docker starts it again only for crashes, so `start` brings it back.
        """
        for container in self.containers(service):
            container.kill()

    def start(self, service: str) -> None:
        for container in self.containers(service):
            container.start()

    @contextmanager
    def away(self, service: str) -> Iterator[None]:
        """A service is killed for as long as the block runs, and healthy again afterwards."""
        self.kill(service)
        try:
            yield
        finally:
            self.start(service)
            self.wait_healthy(service)

    def health(self) -> dict[str, str]:
        """Each service's state: healthy, unhealthy, starting, or
        how its container is where it has no check or does not run.
        """
        states = {}
        for container in self.containers():
            state = container.attrs["State"]
            checked = state.get("Health", {}).get("Status")
            if not isinstance(state, dict) or not state["Running"] or not checked:
                checked = f"{state['Status']} {state['ExitCode']}"
            states[container.labels[SERVICE_LABEL]] = str(checked)
        return states

    def wait_healthy(self, *services: str, timeout_seconds: float = 240) -> None:
        """Wait until these services, or all, are healthy."""
        until = time.monotonic() + timeout_seconds
        while True:
            ill = {
                service: state
                for service, state in self.health().items()
                if (not services or service in services)
                and state != "healthy"
                and (service, state) != ("airflow-init", "exited 0")
            }
            if not ill:
                return
            assert time.monotonic() < until, f"after {timeout_seconds} s: {ill}"
            time.sleep(0.5)
