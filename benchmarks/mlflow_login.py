"""What it costs that MLflow asks every step who it is: the logging of one training, with and without.

    .perennial/envs/dev/bin/python benchmarks/mlflow_login.py

Three servers take turns: MLflow without users, the platform's with its users (containers/ml), and
`mlflow server --app-name basic-auth` as it comes, which hashes the password at every look. A training logs
metrics one by one, tags, parameters and a file. Printed is the median over the rounds, in time and in the
server's processor time, and each server's ratio to the one without users; the platform's fails above `LIMIT`.
Of the third there is one round, a short one.
"""

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests
from mlflow import MlflowClient
from mlflow.entities import Param

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from embedded.ports import free_port  # noqa: E402 - found by the path above
from plugins.runners.mlflow_login import KEY, PASSWORD, USERNAME, password_of  # noqa: E402

LIMIT = 3.0
ROUNDS = 7
METRICS = 60
SCRIPTS = PROJECT / "containers" / "ml"
USER = "perennial-model-benchmark"
ADMIN = {USERNAME: "admin", PASSWORD: secrets.token_hex(16)}
WITHOUT_USERS = """
import os, sys, uvicorn
from mlflow.server import constants
os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = sys.argv[2]
os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = sys.argv[3]
os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
uvicorn.run("mlflow.server.fastapi_app:app", host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
"""
INI = """[mlflow]
default_permission = EDIT
database_uri = {database}
admin_username = admin
"""


@dataclass
class Server:
    """A running server, whom its client is, and what its rounds took."""

    name: str
    url: str
    process: "subprocess.Popen[bytes]"
    login: Mapping[str, str]
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)

    def round(self, metrics: int) -> None:
        for name in (USERNAME, PASSWORD):
            os.environ.pop(name, None)
        os.environ.update(self.login)
        began, before = time.perf_counter(), self._processor_seconds()
        requests_made = training(MlflowClient(self.url), metrics)
        self.seconds.append((time.perf_counter() - began) / requests_made)
        self.processor_seconds.append((self._processor_seconds() - before) / requests_made)

    def _processor_seconds(self) -> float:
        parent = psutil.Process(self.process.pid)
        times = [each.cpu_times() for each in [parent, *parent.children(recursive=True)]]
        return float(sum(each.user + each.system for each in times))


def training(client: MlflowClient, metrics: int) -> int:
    """Log what a training logs; returns how many requests that were."""
    found = client.get_experiment_by_name("benchmark")
    run = client.create_run(found.experiment_id if found else client.create_experiment("benchmark"))
    for step in range(metrics):
        client.log_metric(run.info.run_id, "loss", 1 / (step + 1), step=step)
    client.log_batch(run.info.run_id, params=[Param("epochs", "3")])
    client.set_tag(run.info.run_id, "perennial.reason", "a benchmark")
    client.log_text(run.info.run_id, "it went well", "notes.txt")
    client.set_terminated(run.info.run_id)
    return metrics + 7


def start(folder: Path, name: str, command_of: Callable[[int, str, str], list[str]], **more: str) -> Server:
    (folder / name).mkdir()
    port = free_port()
    database, artifacts = f"sqlite:///{folder / name / 'mlflow.db'}", str(folder / name / "artifacts")
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **more}
    with (folder / name / "log").open("wb") as log:
        upgrade = [sys.executable, str(SCRIPTS / "upgrade_mlflow.py"), database]
        subprocess.run(upgrade, check=True, env=environment, stdout=log, stderr=log)
        process = subprocess.Popen(
            command_of(port, database, artifacts), env=environment, stdout=log, stderr=log, cwd=folder / name
        )
    return Server(name, f"http://127.0.0.1:{port}", process, {})


def servers(folder: Path) -> tuple[Server, Server, Server]:
    key = secrets.token_hex(16)
    (folder / "auth.ini").write_text(
        INI.format(database=f"sqlite:///{folder / 'users.db'}"), encoding="utf-8"
    )
    admin = {"MLFLOW_AUTH_ADMIN_USERNAME": "admin", "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[PASSWORD]}
    own = {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": key}
    without = start(
        folder,
        "without users",
        lambda port, *stores: [sys.executable, "-c", WITHOUT_USERS, str(port), *stores],
    )
    ours = start(
        folder,
        "the platform's",
        lambda port, *stores: [
            sys.executable,
            str(SCRIPTS / "serve_mlflow.py"),
            "127.0.0.1",
            str(port),
            *stores,
        ],
        **admin,
        **{KEY: key},
    )
    theirs = start(folder, "MLflow's own", _mlflow_server, **admin, **own)
    ours.login = {USERNAME: USER, PASSWORD: password_of(USER, key)}
    theirs.login = ADMIN
    return without, ours, theirs


def _mlflow_server(port: int, database: str, artifacts: str) -> list[str]:
    program = str(Path(sys.executable).with_name("mlflow"))
    stores = ["--backend-store-uri", database, "--artifacts-destination", artifacts]
    return [program, "server", "--app-name", "basic-auth", "--port", str(port), "--workers", "1", *stores]


def wait_until_up(server: Server) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if requests.get(f"{server.url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    sys.exit(f"{server.name}: the server did not start.")


def report(found: tuple[Server, ...]) -> float:
    """Print a line for each server; returns the ratio of the platform's processor time."""
    medians = [
        (statistics.median(server.seconds), statistics.median(server.processor_seconds)) for server in found
    ]
    print(f"{'server':16} {'ms a request':>12} {'ratio':>6} {'processor ms':>12} {'ratio':>6}")
    for server, (wall, processor) in zip(found, medians, strict=True):
        ratios = wall / medians[0][0], processor / medians[0][1]
        print(
            f"{server.name:16} {wall * 1000:12.1f} {ratios[0]:6.2f} {processor * 1000:12.1f} {ratios[1]:6.2f}"
        )
    return medians[1][1] / medians[0][1]


def main() -> None:
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with tempfile.TemporaryDirectory(prefix="perennial-login-") as folder:
        without, ours, theirs = found = servers(Path(folder))
        try:
            for server in found:
                wait_until_up(server)
            for server in (without, ours):
                server.round(METRICS)
                server.seconds.clear()
                server.processor_seconds.clear()
            for _ in range(ROUNDS):
                without.round(METRICS)
                ours.round(METRICS)
            theirs.round(10)
            ratio = report(found)
        finally:
            for server in found:
                for process in psutil.Process(server.process.pid).children(recursive=True):
                    process.terminate()
                server.process.terminate()
                server.process.wait(30)
    if ratio > LIMIT:
        sys.exit(f"The platform's users cost {ratio:.2f} times the requests without them; at most {LIMIT:g}.")


if __name__ == "__main__":
    main()
