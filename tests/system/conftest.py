"""One whole platform for all system tests, and a hand on it: Airflow, the landing folder, its settings."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import pytest

from demo.airflow import Airflow
from embedded import processes
from embedded.platform import Platform
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.stores import database
from tests.system.loop import MULTICLASS, NEW, REGRESSION, Loop

Found = TypeVar("Found")

SMALL = {
    "airflow_parallelism": 4,
    "dags_refresh_seconds": 30,
    "minimum_memory_mib": 1024,
    "minimum_disk_mib": 1024,
}
INGEST = ["ingest_reviews", "ingest_flights"]
TABLES = {NEW: NEW, REGRESSION: "weather", MULTICLASS: "digits"}
CONTROL = PROJECT / ".perennial" / "envs" / "control" / "bin" / "python"


@pytest.fixture(scope="package")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables that name a copy of the shipped models and suites, which models may join and leave, and what
    there is before production.

    Of the two models of flights one is enough, and rows start its training too.
    """
    folder = tmp_path_factory.mktemp("configuration")
    models = shutil.copytree(
        PROJECT / "models", folder / "models", ignore=shutil.ignore_patterns("__pycache__", "flight_delay")
    )
    pipeline = models / REGRESSION / "pipeline.yaml"
    by_the_clock = "training:\n  schedule:"
    assert by_the_clock in pipeline.read_text()
    by_both = "training:\n  trigger: both\n  minimum_new_rows: 10000\n  schedule:"
    pipeline.write_text(pipeline.read_text().replace(by_the_clock, by_both))
    suites = shutil.copytree(PROJECT / "great_expectations", folder / "great_expectations")
    return {
        "PERENNIAL_MODELS": str(models),
        "PERENNIAL_SUITES": str(suites),
        "PERENNIAL_RELEASE_ENVIRONMENTS": "dev,staging",
    }


@dataclass(frozen=True)
class Up:
    """`python -m embedded up` at work on a state folder."""

    home: Path
    process: "subprocess.Popen[str]"
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()


@pytest.fixture(scope="package")
def up(configuration: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The command that started the platform and stays with it. Every service answers."""
    home, output = tmp_path_factory.mktemp("platform"), tmp_path_factory.mktemp("up") / "output"
    with output.open("w") as file:
        started = Up(home, embedded(home, "up", output=file, **configuration), output)
    try:
        wait_until(
            lambda: started.process.poll() is not None or "Everything answers" in started.said,
            "the platform",
            timeout_seconds=300,
        )
        assert started.process.poll() is None, started.said
        running = Platform(home, **SMALL)
        Airflow(running.addresses.airflow, running.airflow_token).wait_for_dags(INGEST, timeout_seconds=300)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(60)


@pytest.fixture(scope="package")
def platform(up: Up) -> Platform:
    """The platform, every service answering. It is all tests': each leaves it healthy."""
    return Platform(up.home, **SMALL)


@pytest.fixture
def airflow(platform: Platform) -> Airflow:
    """Airflow's REST API with a fresh token: `unpause`,
    `trigger`, `wait_for_dags`, `run`, `tasks`, `runs`, `call`.
    """
    return Airflow(platform.addresses.airflow, platform.airflow_token)


@pytest.fixture
def inside(
    platform: Platform, configuration: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """This process with the platform's settings, so that
    `tasks.stores.lake`, the ledger and the database are the platform's.
    """
    for name, value in {**platform.variables(), **configuration}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    database.engine.cache_clear()
    yield platform
    database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture
def land(platform: Platform) -> Callable[[str, Path], str]:
    """Let a file land in a table's folder."""
    return partial(put, platform)


@pytest.fixture(scope="package")
def loop(platform: Platform, configuration: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A model that was made a moment ago and two shipped ones, each at its first training.

    Their schedules start a run as soon as Airflow has read the DAG: `_train_once`.
    """
    airflow, models = (
        Airflow(platform.addresses.airflow, platform.airflow_token),
        Path(configuration["PERENNIAL_MODELS"]),
    )
    made = Loop(platform, airflow, models)
    command = ["make", "-s", "model", f"NAME={NEW}", "TASK=regression"]
    subprocess.run(command, cwd=PROJECT, env={**os.environ, **configuration}, check=True, timeout=120)
    landed = tmp_path_factory.mktemp("landed")
    for model, table in TABLES.items():
        for file in example_files(model, landed / table, models=models, batches=1):
            put(platform, table, file)
    lake = str(platform.home / "lake")
    for table in TABLES.values():
        wait_for_rows(table, 1700, timeout_seconds=300, lake_url=lake)
    made.first[REGRESSION] = _train_by_rows(platform, airflow, landed)
    for model in (MULTICLASS, NEW):
        made.first[model] = _train_once(made, model)
    return made


def _train_once(loop: Loop, model: str) -> str:
    """The run that the clock started, or ours where that one came before the rows.

    A second training on the same rows is held: it is not better than the first.
    """
    dag_id = f"train_{model}"
    scheduled = wait_for_started_run(loop.airflow, dag_id, run_type="scheduled")

    def counted() -> str | None:
        states = {task["task_id"]: task["state"] for task in loop.airflow.tasks(dag_id, scheduled)}
        return states["count"] if states.get("count") in {"success", "skipped", "failed"} else None

    found_rows = wait_until(counted, f"the first task of {dag_id}", timeout_seconds=300) == "success"
    return scheduled if found_rows else loop.train(model)


def _train_by_rows(platform: Platform, airflow: Airflow, landed: Path) -> str:
    """The run that the flights start when they join their table.

    The clock had started one when the platform was new, and the weather may have; there was nothing to train
    on.
    """
    dag_id = f"train_{REGRESSION}"
    too_early = wait_for_started_run(airflow, dag_id, run_type="scheduled")
    assert wait_for_run(airflow, dag_id, too_early)["count"] == "skipped"
    for file in example_files("flight_delay", landed / "flights", rows=20_000, batches=1):
        put(platform, "flights", file)

    def at_work() -> str | None:
        for run in airflow.runs(dag_id):
            states = {task["task_id"]: task["state"] for task in airflow.tasks(dag_id, run["dag_run_id"])}
            if run["run_type"] == "asset_triggered" and states["count"] == "success":
                return str(run["dag_run_id"])
        return None

    return wait_until(at_work, "a training of the flights", timeout_seconds=400, pause_seconds=1)


def ask(platform: Platform, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `./perennial` as a person at a shell does who has set nothing but where the state lies."""
    return subprocess.run(
        [str(PROJECT / "perennial"), *words],
        env={**os.environ, "PERENNIAL_HOME": str(platform.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def put(platform: Platform, table: str, file: Path) -> str:
    """Let a file land in a table's folder as a producer does: under a hidden
    name first, then by one rename.
    """
    folder = platform.home / "landing" / table
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{file.name}.part"
    part.write_bytes(file.read_bytes())
    part.rename(folder / file.name)
    return file.name


def wait_for_run(
    airflow: Airflow, dag_id: str, run_id: str, *, stalled_seconds: float = 300
) -> dict[str, str]:
    """Wait until a run has ended and return the state of each
    task; the run's own state is under the key of the DAG's id.
    """
    run = airflow.wait_for_end(dag_id, run_id, stalled_seconds=stalled_seconds)
    tasks = {str(task["task_id"]): str(task["state"]) for task in airflow.tasks(dag_id, run_id)}
    return {dag_id: str(run["state"]), **tasks}


def wait_until(
    look: Callable[[], Found | None], what: str, *, timeout_seconds: float, pause_seconds: float = 0.2
) -> Found:
    """What `look` finds, as soon as it finds something."""
    until = time.monotonic() + timeout_seconds
    while not (found := look()):
        assert time.monotonic() < until, f"waited {timeout_seconds} s for {what}"
        time.sleep(pause_seconds)
    return found


def wait_until_gone(home: Path, *, timeout_seconds: float) -> list[str]:
    """Wait until no process of the platform is left; return the commands of those that are."""
    until = time.monotonic() + timeout_seconds
    while (left := processes.find_marked(home)) and time.monotonic() < until:
        time.sleep(0.2)
    return [" ".join(process.cmdline()) for process in left if process.is_running()]


def wait_for_success(airflow: Airflow, dag_id: str, run_id: str) -> None:
    states = wait_for_run(airflow, dag_id, run_id)
    assert states[dag_id] == "success", states


def wait_for_started_run(airflow: Airflow, dag_id: str, *, run_type: str, timeout_seconds: float = 60) -> str:
    """The id of the newest run that was started as `run_type` says."""

    def newest() -> str | None:
        return next(
            (str(run["dag_run_id"]) for run in airflow.runs(dag_id) if run["run_type"] == run_type), None
        )

    return wait_until(
        newest, f"a run of {dag_id} by {run_type}", timeout_seconds=timeout_seconds, pause_seconds=1
    )


def wait_for_rows(table: str, rows: int, *, timeout_seconds: float, lake_url: str | None = None) -> None:
    """Wait until a table has at least so many rows; without
    `lake_url` of the settings, which are the platform's `inside`.
    """
    from tasks.stores.lake import Lake

    def counted() -> bool:
        lake = Lake(lake_url)
        return lake.exists(table) and lake.read(table, columns=["batch_id"]).num_rows >= rows

    wait_until(counted, f"{rows} rows of {table}", timeout_seconds=timeout_seconds, pause_seconds=0.5)


def example_files(
    model: str, folder: Path, *, models: Path = PROJECT / "models", **options: int
) -> list[Path]:
    """Files of real rows, as the model's example_data.py writes them."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    program = models / model / "example_data.py"
    subprocess.run(
        [str(settings().python(model)), str(program), "--output", str(folder), *arguments],
        check=True,
        timeout=120,
    )
    return sorted(path for path in folder.iterdir() if path.is_file())


def input_example(model: str) -> dict[str, object]:
    """The instance that the model's specification gives as its example."""
    return PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml").serving.input_example


def embedded(
    home: Path, *arguments: str, output: int | IO[str] = subprocess.PIPE, **variables: str
) -> "subprocess.Popen[str]":
    """`python -m embedded <arguments>` on a state folder, as a shell would start it.

    Its output is one stream of text.
    """
    small = {f"PERENNIAL_{name.upper()}": str(value) for name, value in SMALL.items()}
    return subprocess.Popen(
        [str(CONTROL) if CONTROL.exists() else sys.executable, "-m", "embedded", *arguments],
        cwd=PROJECT,
        env={**os.environ, **small, "PERENNIAL_HOME": str(home), **variables},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )
