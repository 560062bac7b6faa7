"""A version is trained again from its records alone, on another machine, and whatever differs is named.

The trainer's clone, state and library lie in folders that the one who reproduces does not have.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import (
    Champion,
    DataSnapshot,
    EvaluateRequest,
    PackageRequest,
    ReproduceRequest,
    Reproduction,
    SnapshotPart,
    TrainingRun,
)
from tasks.evaluation.evaluate import evaluate
from tasks.runtime.code_version import HANDLER_BASE
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.row_hash import sha256_of_rows
from tasks.training.package import package
from tasks.training.train import train
from tests.unit import trained

PROGRAM = """
import json, pathlib, sys
import numpy as np, tinylib
from safetensors.numpy import save_file
data, output, seed, mode = sys.argv[1:]
weights = np.random.default_rng(int(seed)).normal(size=(3, 2)).astype("float32")
weights[0, 0] *= tinylib.FACTOR
save_file({"layer.weight": weights, "layer.bias": np.ones(2, "float32")}, pathlib.Path(output, "w.safetensors"))
pathlib.Path(output, "model.json").write_text(json.dumps({"answer": int(weights.sum() > -100)}))
"""


@dataclass(frozen=True)
class World:
    """A version of the tiny model, and a clone of the repository that it was trained in.

    Attributes:
        gone: Where the trainer's folder was, which is not there any more.
    """

    spec: PipelineSpec
    run: TrainingRun
    clone: Path
    mlflow_url: str
    rows: Path
    gone: Path

    def reproduce(self, home: Path, version: str = "1", **changes: Any) -> Reproduction | dict[str, Any]:
        """`python -m tasks reproduce` on another machine; returns the result, or the error's document."""
        request = ReproduceRequest(
            context=trained.context(home, "reproduce"),
            spec=self.spec,
            version=version,
            **changes.pop("asked", {}),
        )
        (home / "request.json").write_text(request.model_dump_json())
        command = [sys.executable, "-m", "tasks", "reproduce", "--request", str(home / "request.json")]
        environment = {
            **os.environ,
            "PERENNIAL_HOME": str(home),
            "PERENNIAL_MLFLOW_URL": self.mlflow_url,
            "PERENNIAL_PROJECT": str(self.clone),
            "PERENNIAL_MODELS": str(self.clone / "models"),
            **changes,
        }
        done = subprocess.run(
            [*command, "--result", str(home / "result.json")],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            error: dict[str, Any] = json.loads((home / "result.json.error.json").read_text())
            return error
        return Reproduction.model_validate_json((home / "result.json").read_text())


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write_library(folder: Path, version: str, factor: float) -> str:
    """A library as pip installs it, which the model's program imports; returns what PYTHONPATH has to name."""
    about = folder / f"tinylib-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tinylib\nVersion: {version}\n")
    (folder / "tinylib.py").write_text(f"FACTOR = {factor}\n")
    return str(folder)


def write_snapshot(folder: Path) -> DataSnapshot:
    parts = {}
    for name, rows in (("train", 20), ("validation", 5), ("test", 30)):
        keys = [f"{name}-{row:02}" for row in range(rows)]
        table = pa.table({"id": keys, "number": list(range(rows)), "label": [row % 2 for row in range(rows)]})
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        parts[name] = SnapshotPart(url=str(path), rows=rows, sha256=sha256_of_rows(table))
    return trained.snapshot(folder / "unused").model_copy(update={**parts, "rows": 55})


@pytest.fixture(scope="module")
def world(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    trainer, project, clone = folder / "trainer", folder / "project", folder / "clone"
    spec = trained.write_model(project / "models")
    (project / "models" / "tiny" / "train.py").write_text(PROGRAM)
    (project / HANDLER_BASE).parent.mkdir(parents=True)
    shutil.copy(PROJECT / HANDLER_BASE, project / HANDLER_BASE)
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "The tiny model")
    trainer.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_HOME", str(trainer))
        patch.setenv("PERENNIAL_PROJECT", str(project))
        patch.setenv("PERENNIAL_MODELS", str(project / "models"))
        patch.setenv("PYTHONPATH", write_library(folder / "libraries", "1.0", 1))
        patch.syspath_prepend(str(folder / "libraries"))
        trained.use_mlflow(trainer, mlflow_store, patch, artifacts=str(folder / "artifacts"))
        run = make_version(spec, trainer, write_snapshot(folder / "rows"))
        mlflow_url = settings().mlflow_url.replace(str(trainer), str(folder))
        shutil.move(trainer / "mlflow.db", folder / "mlflow.db")
    settings.cache_clear()
    shutil.rmtree(trainer)
    (project / "models" / "tiny" / "train.py").write_text("raise SystemExit('This is another program.')")
    git(project, "commit", "--all", "--quiet", "--message", "Another program")
    git(folder, "clone", "--quiet", str(project), str(clone))
    shutil.rmtree(project)
    yield World(spec, run, clone, mlflow_url, folder / "rows", trainer)


def make_version(spec: PipelineSpec, home: Path, snapshot: DataSnapshot) -> TrainingRun:
    """Train, package and evaluate, and register what came of it as version 1."""
    request = trained.train_request(spec, home, seed=3).model_copy(update={"snapshot": snapshot})
    run = train(request)
    archive = package(PackageRequest(context=trained.context(home, "package"), spec=spec, run=run))
    none = Champion(model=spec.name, version=None, serves=False)
    evaluate(
        EvaluateRequest(
            context=trained.context(home, "evaluate"), spec=spec, run=run, archive=archive, champion=none
        )
    )
    client = registry.client()
    client.create_registered_model(spec.name)
    tags = {registry.ARCHIVE: archive.model_dump_json(), registry.DECISION: ""}
    client.create_model_version(spec.name, source=run.model_files_url, run_id=run.run_id, tags=tags)
    return run


def test_a_colleague_gets_the_same_bits_from_a_fresh_clone_whose_newest_commit_is_another(
    world: World, tmp_path: Path
) -> None:
    library = write_library(tmp_path / "libraries", "1.0", 1)

    found = world.reproduce(tmp_path, PYTHONPATH=library)

    assert isinstance(found, Reproduction), found
    assert (found.verdict, found.conditions) == ("identical", ()), found.why
    assert (found.tensors, found.files, found.answers.rows) == (2, (), 30)
    assert not world.gone.exists()


def test_a_changed_library_is_named_and_so_is_the_tensor_that_it_changed(
    world: World, tmp_path: Path
) -> None:
    library = write_library(tmp_path / "libraries", "2.0", 1.5)

    found = world.reproduce(tmp_path, PYTHONPATH=library)

    assert isinstance(found, Reproduction), found
    assert found.verdict == "different"
    assert [(each.file, each.tensor) for each in found.largest] == [("w.safetensors", "layer.weight")]
    assert [(each.name, each.recorded, each.here) for each in found.conditions] == [("tinylib", "1.0", "2.0")]
    assert "most of all layer.weight of w.safetensors by up to 1.0" in found.why
    assert "tinylib was 1.0 and is 2.0" in found.why
