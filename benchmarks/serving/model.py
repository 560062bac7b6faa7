"""The one model that every contender serves: trained and packed by the project's own code.

Reviews are classified by `models/review_sentiment/train.py`, with one pass over the example data instead of
twelve: the network, its size and its work for a request are the champion's. What it made is kept below
.perennial, and made again when the model's or the packing code changes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import yaml

from tasks.contracts import Archive, TrainingRun
from tasks.evaluation.scoring import score
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.training.package import build

PROJECT = Path(__file__).resolve().parent.parent.parent
NAME = "review_sentiment"
KEPT = PROJECT / ".perennial" / "benchmarks" / "serving" / "model"
SOURCES = (PROJECT / "models" / NAME, PROJECT / "containers" / "torchserve", PROJECT / "tasks" / "training")
TEXT = (
    "A quiet film about two brothers who meet again after twenty years, told without haste and with a great "
    "cast; the last half hour loses its way a little, but the ending is worth every minute of it."
)
"""What is asked: 36 words."""


@dataclass(frozen=True)
class ServedModel:
    """The model, in each form that a contender takes.

    Attributes:
        archive: As TorchServe takes it.
        unpacked: The folder of the archive's files.
        mlflow_model: The folder of the MLflow model that the training logged.
        expected: The label of `TEXT` and its probability.
    """

    spec: PipelineSpec
    archive: Archive
    unpacked: Path
    mlflow_model: Path
    expected: tuple[int, float]


def served_model() -> ServedModel:
    """The model that is kept, or a new one: half a minute."""
    sys.path.insert(0, str(PROJECT / "models"))
    document = yaml.safe_load((PROJECT / "models" / NAME / "pipeline.yaml").read_text(encoding="utf-8"))
    spec = PipelineSpec.model_validate(document)
    folder = KEPT / fingerprint()
    if not (folder / "archive.json").exists():
        shutil.rmtree(KEPT, ignore_errors=True)
        _make(spec, folder)
    archive = Archive.model_validate_json((folder / "archive.json").read_text(encoding="utf-8"))
    [mlflow_model] = [path.parent for path in (folder / "mlruns").rglob("MLmodel")]
    answer = archive.example_prediction
    expected = (int(answer["prediction"]), float(answer["score"]))
    return ServedModel(spec, archive, folder / "unpacked", mlflow_model, expected)


def fingerprint() -> str:
    """Of everything that the kept model was made from."""
    found = hashlib.sha256(TEXT.encode())
    for source in SOURCES:
        for path in sorted(source.glob("*.*")):
            if path.is_file():
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _make(spec: PipelineSpec, folder: Path) -> None:
    folder.mkdir(parents=True)
    trained = _train(folder)
    run_id = uuid4().hex
    # Packing reads no more of a run than these.
    run = TrainingRun.model_construct(model=NAME, run_id=run_id, model_files_url=str(trained))
    made = build(spec, run, folder)
    with zipfile.ZipFile(made) as packed:
        packed.extractall(folder / "unpacked")
    example = folder / "example.jsonl"
    example.write_text(f'{{"text": "{TEXT}"}}\n', encoding="utf-8")
    scores = score(made, example, ["text"], latency_samples=0, timeout_seconds=120)
    archive = Archive(
        model=NAME,
        version=run_id,
        run_id=run_id,
        url=str(made),
        sha256=files.sha256(str(made)),
        size_bytes=made.stat().st_size,
        example_prediction={"prediction": scores.predictions[0], "score": scores.scores[0]},
        input_example={"text": TEXT},
        batches=True,
    )
    (folder / "archive.json").write_text(archive.model_dump_json(indent=2), encoding="utf-8")


def _train(folder: Path) -> Path:
    """Run the model's own program in its own environment; returns the files that it wrote for serving."""
    python = PROJECT / ".perennial" / "envs" / f"model-{NAME}" / "bin" / "python"
    if not python.exists():
        raise SystemExit("The environments are missing. Run `make setup` first.")
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT / "models"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "OMP_NUM_THREADS": "1",
    }
    program = PROJECT / "models" / NAME / "train.py"
    command = [str(python), str(program), "--output", str(folder / "trained"), "--epochs", "1"]
    with (folder / "training.log").open("wb") as log:
        ended = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"The training of {NAME} failed; {folder / 'training.log'} says why.")
    return folder / "trained"
