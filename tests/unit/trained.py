"""A tiny model of standard Python, and the requests to train
and package it, for tests of the steps around a training.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tasks.contracts import (
    DataSnapshot,
    PackageRequest,
    SnapshotPart,
    StepContext,
    TrainingRun,
    TrainRequest,
    ValidationReport,
)
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.row_hash import sha256_of_rows

PIPELINE: dict[str, Any] = {
    "version": 1,
    "name": "tiny",
    "description": "Says of every number what it was told to say.",
    "owner": "tests",
    "data": {
        "table": "numbers",
        "key": "id",
        "columns": {"id": "string", "number": "int64", "label": "int64"},
        "suite": "numbers",
        "query": "SELECT * FROM numbers",
        "features": ["number"],
        "label": "label",
        "split": {"by": "id"},
    },
    "training": {
        "parameters": {"seed": {"minimum": 0}, "mode": {"enum": ["good", "fail", "break", "empty", "sleep"]}}
    },
    "serving": {
        "code": ["answer.py"],
        "input_schema": {"type": "object"},
        "label_schema": {"type": "integer", "enum": [0, 1]},
        "input_example": {"number": 3},
    },
}
MLPROJECT = """
name: tiny
entry_points:
  main:
    parameters:
      data: {type: string, default: ""}
      output: {type: string, default: ""}
      seed: {type: int, default: 7, description: "Seed."}
      rate: {type: float, default: 0.5}
      mode: {type: string, default: good}
    command: python train.py {data} {output} {seed} {mode}
"""
TRAIN = """
import json, os, pathlib, sys, time
data, output, seed, mode = sys.argv[1:]
print("I am training.", flush=True)
if os.environ.get("TINY_PID_FILE"):
    pathlib.Path(os.environ["TINY_PID_FILE"]).write_text(str(os.getpid()))
    time.sleep(300)
if mode == "sleep":
    time.sleep(300)
if mode == "fail":
    raise SystemExit("The labels are upside down.")
if mode == "break":
    [][3]
if mode == "good":
    saw = sorted(file.name for file in pathlib.Path(data).iterdir())
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    model = {"saw": saw, "seed": int(seed), "answer": 1, "gpus": gpus}
    pathlib.Path(output, "model.json").write_text(json.dumps(model))
"""
HANDLER = """
from answer import answer_of
from perennial_handler import BadInstance, PerennialHandler

class Handler(PerennialHandler):
    def load(self, folder):
        self.answer = answer_of(folder)
    def predict(self, instances):
        if any(instance["number"] < 0 for instance in instances):
            raise BadInstance("A number is negative.")
        return [{"prediction": self.answer, "score": 1 / (1 + instance["number"])} for instance in instances]
"""
ANSWER = """
import json
import shutil
def answer_of(folder):
    return json.loads((folder / "model.json").read_text())["answer"]
"""


def write_model(models: Path, **changes: Any) -> PipelineSpec:
    """Lay the tiny model's folder into `models`, some sections of its pipeline.yaml changed."""
    folder = models / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = {
        **PIPELINE,
        **{section: {**PIPELINE[section], **change} for section, change in changes.items()},
    }
    files = {"MLproject": MLPROJECT, "train.py": TRAIN, "handler.py": HANDLER, "answer.py": ANSWER}
    for name, text in {**files, "pipeline.yaml": json.dumps(pipeline)}.items():
        (folder / name).write_text(text)
    return PipelineSpec.load(folder / "pipeline.yaml")


def context(home: Path, step: str) -> StepContext:
    return StepContext(
        actor=f"test:{step}", step_key=f"train_tiny/run'1/{step}", work_url=str(home / "runs" / step)
    )


def snapshot(home: Path) -> DataSnapshot:
    """Three parts of a few rows, lying in the store."""
    parts = {}
    for number, name in enumerate(("train", "validation", "test")):
        path = home / "snapshot" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = pa.table({"id": [name], "number": [number], "label": [1]})
        pq.write_table(rows, path)
        parts[name] = SnapshotPart(url=str(path), rows=1, sha256=sha256_of_rows(rows))
    at = datetime(2026, 1, 5, tzinfo=UTC)
    pinned = {"table": "numbers", "table_version": 4, "as_of": None, "version_at": at, "query": "SELECT 1"}
    return DataSnapshot(**pinned, rows=3, sha256="f" * 64, **parts)


def train_request(
    spec: PipelineSpec, home: Path, step: str = "train", **parameters: str | float
) -> TrainRequest:
    report = home / "report"
    report.mkdir(exist_ok=True)
    (report / "r.html").write_text("<p>All is well.</p>")
    (report / "r.json").write_text("{}")
    urls = {"url": str(report / "r.html"), "json_url": str(report / "r.json")}
    counted = {
        "suite": "numbers",
        "suite_sha256": "0" * 64,
        "success": True,
        "rows": 3,
        "evaluated": 1,
        "failed": (),
    }
    validation = ValidationReport.model_validate({**counted, **urls})
    return TrainRequest(
        context=context(home, step),
        spec=spec,
        snapshot=snapshot(home),
        validation=validation,
        parameters=parameters,
    )


def package_request(
    spec: PipelineSpec, home: Path, run_id: str, files: dict[str, bytes], step: str = "package"
) -> PackageRequest:
    """A training that left `files` behind."""
    folder = home / "trained" / run_id
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    run = TrainingRun(
        model="tiny",
        run_id=run_id,
        experiment_id="1",
        code_commit=None,
        image_digest=None,
        lock_sha256="0" * 64,
        parameters={},
        seed=7,
        snapshot=snapshot(home),
        model_files_url=str(folder),
    )
    return PackageRequest(context=context(home, step), spec=spec, run=run)


def use_mlflow(
    home: Path, template: Path, monkeypatch: pytest.MonkeyPatch, artifacts: str | None = None
) -> MlflowClient:
    """Give this process and its children an MLflow of their
    own: a copy of an empty database, artifacts below `home`.
    """
    database = shutil.copy(template, home / "mlflow.db")
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", f"sqlite:///{database}")
    settings.cache_clear()
    client: MlflowClient = registry.client()
    client.create_experiment("tiny", artifact_location=artifacts or str(home / "artifacts"))
    return client
