"""A box with a GPU behind a firewall: a step that wants
a GPU runs there, by a worker that only asks over HTTP.

    .perennial/envs/dev/bin/python benchmarks/edge_worker.py [--at-most 90]

Starts a platform of its own, whose Airflow has the EdgeExecutor beside its own, and `airflow edge worker`
with a folder, a configuration and a name of its own, and no database. Two models are looked at by the first
step of their training that may want a GPU: one at home, then the one that wishes for one at the box, which
imports torch to look for it. Prints who ran what and how long each took from being sent to its end; exits
with 1 when a step ran elsewhere or took longer than --at-most. It is no test, because it starts a whole
platform for one step.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from demo.airflow import Airflow  # noqa: E402 - found by the path above
from demo.follow import wait_for_published  # noqa: E402
from embedded.platform import Platform  # noqa: E402
from embedded.ports import free_port  # noqa: E402

EDGE = "airflow.providers.edge3.executors.EdgeExecutor"
BOX, QUEUE = "gpu-box", "gpu"
AT_THE_BOX, AT_HOME = "review_sentiment", "flight_delay"
TABLES = {AT_THE_BOX: "reviews", AT_HOME: "flights"}
ROWS = 2_000
# What the platform's variables hold and the box has no use for.
KEPT_AT_HOME = (
    "AIRFLOW__DATABASE__",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__SIMPLE_AUTH",
    "PERENNIAL_GATEWAY_TOKEN",
)


def main(
    at_most: Annotated[float, typer.Option(help="The longest that a step may take, in seconds.")] = 90,
) -> None:
    """Start everything, look where both steps ran, and judge."""
    with tempfile.TemporaryDirectory() as folder:
        platform = platform_with_edge(Path(folder))
        with platform, worker(platform, Path(folder, "box")):
            airflow = Airflow(platform.addresses.airflow, platform.airflow_token)
            for model, table in TABLES.items():
                fill(airflow, model, platform.home / "landing" / table)
            found = {model: first_step(airflow, model, at_most) for model in (AT_HOME, AT_THE_BOX)}
    for model, (host, executor, seconds) in found.items():
        typer.echo(
            f"{model:17} ran on {host} by {executor or 'LocalExecutor'}, {seconds:.1f} s from sent to done"
        )
    right = found[AT_THE_BOX][0] == BOX and found[AT_HOME][0] != BOX
    if not right or max(seconds for _, _, seconds in found.values()) > at_most:
        raise SystemExit(1)


def platform_with_edge(folder: Path) -> Platform:
    """A platform whose Airflow sends what wants a GPU to the
    edge; its control environment is the one with all providers.
    """
    models, environments = folder / "models", folder / "envs"
    shutil.copytree(PROJECT / "models", models, ignore=shutil.ignore_patterns("__pycache__"))
    specification = models / AT_THE_BOX / "pipeline.yaml"
    document = yaml.safe_load(specification.read_text(encoding="utf-8")) | {
        "resources": {"gpus": "preferred"}
    }
    specification.write_text(yaml.safe_dump(document), encoding="utf-8")
    environments.mkdir()
    for environment in (PROJECT / ".perennial" / "envs").iterdir():
        (environments / environment.name).symlink_to(environment)
    (environments / "control").unlink()
    (environments / "control").symlink_to(PROJECT / ".perennial" / "envs" / "dev")
    os.environ |= {
        "PERENNIAL_MODELS": str(models),
        "PERENNIAL_GPU_EXECUTOR": "EdgeExecutor",
        "PERENNIAL_GPU_QUEUE": QUEUE,
    }
    port = free_port()
    options = {
        "core": {"executor": f"LocalExecutor,{EDGE}"},
        "edge": {
            "api_enabled": "True",
            "api_url": f"http://127.0.0.1:{port}/edge_worker/v1/rpcapi",
            "job_poll_interval": "1",
            "heartbeat_interval": "5",
        },
    }
    return Platform(
        folder / "home",
        environments=environments,
        airflow_port=port,
        airflow_options=options,
        minimum_memory_mib=1024,
    )


@contextmanager
def worker(platform: Platform, folder: Path) -> Iterator[None]:
    """The box: a folder of its own, and of the platform's variables those that an edge worker needs."""
    folder.mkdir()
    given = {
        name: value for name, value in platform.environment().items() if not name.startswith(KEPT_AT_HOME)
    }
    own = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "HOSTNAME": BOX,
    }
    own["AIRFLOW__CORE__HOSTNAME_CALLABLE"] = "airflow.providers.edge3.cli.worker._edge_hostname"
    command = [str(platform.settings.environments / "control" / "bin" / "airflow"), "edge", "worker"]
    command += ["--queues", QUEUE, "--concurrency", "1", "--edge-hostname", BOX]
    with (folder / "worker.log").open("wb") as log:
        box = subprocess.Popen(command, cwd=PROJECT, env=given | own, stdout=log, stderr=log)
    try:
        yield
    except BaseException:
        typer.echo((folder / "worker.log").read_text(encoding="utf-8")[-3000:])
        raise
    finally:
        box.terminate()
        box.wait(60)


def fill(airflow: Airflow, model: str, landing: Path) -> None:
    """Let rows land and be ingested: without any, a training looks at no place to run in."""
    program = [
        PROJECT / ".perennial" / "envs" / f"model-{model}" / "bin" / "python",
        f"models/{model}/example_data.py",
    ]
    options = ["--output", landing, "--rows", ROWS, "--batches", 1]
    subprocess.run([str(word) for word in (*program, *options)], cwd=PROJECT, check=True)
    ingest = f"ingest_{TABLES[model]}"
    airflow.wait_for_dags([ingest], timeout_seconds=120)
    wait_for_published(airflow, ingest, rows=ROWS, timeout_seconds=120, tell=lambda _: None)


def first_step(airflow: Airflow, model: str, patience_seconds: float) -> tuple[str, str | None, float]:
    """Start the model's training; returns the host and the executor of
    the first step at its place, and its seconds from sent to done.
    """
    dag_id = f"train_{model}"
    airflow.wait_for_dags([dag_id], timeout_seconds=120)
    run_id = airflow.trigger(dag_id)
    until = time.monotonic() + patience_seconds
    while (step := preflight_of(airflow, dag_id, run_id))["state"] not in {"success", "failed"}:
        if time.monotonic() > until:
            raise SystemExit(f"The first step of {dag_id} is {step['state']} after {patience_seconds:.0f} s.")
        time.sleep(0.5)
    if step["state"] != "success":
        raise SystemExit(f"The first step of {dag_id} failed: see {airflow.page(dag_id, run_id)}")
    sent, done = (datetime.fromisoformat(step[name]) for name in ("queued_when", "end_date"))
    return step["hostname"], step["executor"], (done - sent).total_seconds()


def preflight_of(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, Any]:
    return next(task for task in airflow.tasks(dag_id, run_id) if task["task_id"] == "preflight")


if __name__ == "__main__":
    typer.run(main)
