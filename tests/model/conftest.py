"""Each model, trained on its example data by its own program and
packaged, is asked through its archive, as the service would.

Asking starts a process and imports torch: the tests of a model ask everything in a few calls.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tasks.contracts import Archive, DataSnapshot, SnapshotPart, TrainingRun
from tasks.data.snapshot import PARTS, part_of
from tasks.evaluation.scoring import Scores, score
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import database
from tasks.training.package import build
from tests.conftest import PROJECT
from tests.steps.by_hand import ByHand

SHIPPED = sorted(path.parent.name for path in PROJECT.glob("models/*/pipeline.yaml"))
Loop = Callable[[str], ByHand]
COMMIT = "c0" * 20
"""What the steps take for the commit of the code, whether it was committed or not."""
NOWHERE = SnapshotPart(url="", rows=0, sha256="")


@dataclass(frozen=True)
class Packaged:
    """A model's archive, the parts it came from, and how to ask it."""

    spec: PipelineSpec
    archive: Path
    data: Path
    work: Path

    def ask(self, *instances: dict[str, Any]) -> Scores:
        """Score instances, as requests would carry them."""
        rows = self.work / "asked.jsonl"
        rows.write_text("".join(json.dumps(instance) + "\n" for instance in instances))
        return score(self.archive, rows, self.spec.data.features, latency_samples=0)

    def ask_rows(self, rows: pd.DataFrame) -> Scores:
        path = self.work / "rows.parquet"
        rows.to_parquet(path)
        return score(self.archive, path, self.spec.data.features, latency_samples=100)

    def part(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.data / f"{name}.parquet")


def example_data(model: str, folder: Path, *arguments: str) -> pd.DataFrame:
    """What the model's example_data.py writes, in the environment that has its package."""
    command = [
        settings().python(model),
        str(PROJECT / "models" / model / "example_data.py"),
        "--output",
        str(folder),
    ]
    subprocess.run([*command, "--batches", "1", *arguments], check=True)
    (file,) = folder.iterdir()
    return pd.read_csv(file)


def write_parts(spec: PipelineSpec, rows: pd.DataFrame, folder: Path) -> None:
    """Part the rows as a snapshot does."""
    folder.mkdir()
    rows = rows.dropna(subset=spec.data.label)
    split = spec.data.split
    texts = rows[list(split.columns)].astype(str).agg("\x1f".join, axis=1)
    parts = part_of(pa.chunked_array([texts.tolist()]), split)
    for number, name in enumerate(PARTS):
        rows[parts == number].to_parquet(folder / f"{name}.parquet")


def run_training(model: str, calls: Sequence[Sequence[str]], store: Path) -> None:
    """Call train.main() in one process of its own, once with each list of arguments."""
    program = "import sys, json, train\nfor sys.argv[1:] in json.loads(sys.argv[1]): train.main()"
    path = {"PYTHONPATH": str(PROJECT / "models")}
    environment = {**os.environ, **path, "MLFLOW_TRACKING_URI": f"sqlite:///{store}"}
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(calls)],
        cwd=PROJECT / "models" / model,
        env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_EXPERIMENT_NAME": "tested"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def run_project(model: str, store: Path, **parameters: Path) -> None:
    """`mlflow run models/<model>`, plain, as a user types it in the model's environment."""
    given = [part for name, value in parameters.items() for part in ("-P", f"{name}={value}")]
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", f"models/{model}", "--experiment-name", "tested", *given],
        cwd=PROJECT,
        env={
            **os.environ,
            "PATH": search,
            "MLFLOW_TRACKING_URI": f"sqlite:///{store}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def ask(archive: Archive, spec: PipelineSpec, instances: Sequence[dict[str, Any]], work: Path) -> Scores:
    """Score instances through an archive, as requests would carry them."""
    rows = work / "asked.jsonl"
    rows.write_text("".join(json.dumps(instance) + "\n" for instance in instances))
    return score(Path(archive.url), rows, spec.data.features, latency_samples=0)


@pytest.fixture(scope="module")
def loop_of(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Gives a shipped model a state folder of its own, in which its steps run; one at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_CODE_COMMIT", COMMIT)

        def make(model: str) -> ByHand:
            home = tmp_path_factory.mktemp(model)
            patch.setenv("PERENNIAL_HOME", str(home))
            settings.cache_clear()
            database.engine.cache_clear()
            made = ByHand(PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml"), home)
            made.use_mlflow(mlflow_store, patch)
            return made

        yield make
        database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


def package(spec: PipelineSpec, files: Path, data: Path, work: Path) -> Packaged:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    pinned = {
        "table": spec.data.table,
        "table_version": 0,
        "as_of": None,
        "version_at": at,
        "query": "",
        "rows": 0,
    }
    snapshot = DataSnapshot(**pinned, sha256="", train=NOWHERE, validation=NOWHERE, test=NOWHERE)
    code = {"code_commit": None, "image_digest": None, "lock_sha256": ""}
    names = {"model": spec.name, "run_id": "tested", "experiment_id": "0", "model_files_url": str(files)}
    run = TrainingRun(**names, **code, parameters={}, seed=7, snapshot=snapshot)
    return Packaged(spec, build(spec, run, work), data, work)


@pytest.fixture(scope="session")
def tracking(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database whose one experiment keeps its artifacts in a temporary folder."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{mlflow_store}")
    if client.get_experiment_by_name("tested") is None:
        client.create_experiment("tested", artifact_location=str(tmp_path_factory.mktemp("artifacts")))
    return mlflow_store
