"""One whole platform for all system tests, and a hand on it: Airflow's REST API, the landing folder, its settings."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.airflow import Airflow
from embedded.platform import Platform
from tasks import database
from tasks.settings import PROJECT, settings

SMALL = {"airflow_parallelism": 4, "dags_refresh_seconds": 5, "minimum_memory_mib": 1024, "minimum_disk_mib": 1024}
CONTROL = PROJECT / ".perennial" / "envs" / "control" / "bin" / "python"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n`, all of them run on one worker: there is one platform."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("platform"))


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, every service answering. It is the session's: a test leaves it healthy."""
    with Platform(tmp_path_factory.mktemp("platform"), **SMALL) as started:
        yield started


@pytest.fixture
def airflow(platform: Platform) -> Airflow:
    """Airflow's REST API with a fresh token: `unpause`, `trigger`, `wait_for_dags`, `run`, `tasks`, `runs`, `call`."""
    return Airflow(platform.addresses.airflow, platform.airflow_token)


@pytest.fixture
def inside(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """This process with the platform's settings, so that `tasks.lake`, the ledger and the database are the platform's."""
    for name, value in platform.variables().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    database.engine.cache_clear()
    yield platform
    database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture
def land(platform: Platform) -> Callable[[str, Path], str]:
    """Let a file land in a table's folder as a producer does: under a hidden name first, then by one rename."""

    def _land(table: str, file: Path) -> str:
        folder = platform.home / "landing" / table
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{file.name}.part"
        part.write_bytes(file.read_bytes())
        part.rename(folder / file.name)
        return file.name

    return _land


def wait_for_run(airflow: Airflow, dag_id: str, run_id: str, *, timeout_seconds: float) -> dict[str, str]:
    """Wait until a run has ended and return the state of each task; the run's own state is under the key of the DAG's id."""
    until = time.monotonic() + timeout_seconds
    while (state := str(airflow.run(dag_id, run_id)["state"])) not in {"success", "failed"}:
        assert time.monotonic() < until, (
            f"{dag_id}/{run_id} is {state} after {timeout_seconds} s: {airflow.tasks(dag_id, run_id)}"
        )
        time.sleep(0.5)
    tasks = {str(task["task_id"]): str(task["state"]) for task in airflow.tasks(dag_id, run_id)}
    return {dag_id: state, **tasks}


def embedded(home: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    """`python -m embedded <arguments>` on a state folder, as a shell would start it. Its output is one stream of text."""
    small = {f"PERENNIAL_{name.upper()}": str(value) for name, value in SMALL.items()}
    return subprocess.Popen(
        [str(CONTROL) if CONTROL.exists() else sys.executable, "-m", "embedded", *arguments],
        cwd=PROJECT,
        env={**os.environ, **small, "PERENNIAL_HOME": str(home), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
