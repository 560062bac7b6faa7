"""A small model with one of each kind of input, its training as it is kept, and its archive: a text, a
category, a whole number and a number that may be null.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import Archive, TrainingRun
from tasks.evaluation.preparation import replay
from tasks.evaluation.preparation.inputs import Inputs
from tasks.evaluation.preparation.kept_code import keep_code
from tasks.runtime.code_version import Code
from tasks.settings import PROJECT
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.training.package import build
from tests.unit import judged

NAME = "parcel"
PIPELINE: dict[str, Any] = {
    "version": 1,
    "name": NAME,
    "description": "Says of every parcel whether it is late.",
    "owner": "tests",
    "data": {
        "table": "parcels",
        "key": "id",
        "columns": {
            "id": "string",
            "text": "string",
            "region": "string",
            "pieces": "int64",
            "weight": "float64",
            "label": "int64",
        },
        "suite": "parcels",
        "query": "SELECT * FROM parcels",
        "features": ["text", "region", "pieces", "weight"],
        "label": "label",
        "split": {"by": "id"},
    },
    "serving": {
        "code": ["features.py", "network.py"],
        "input_schema": {"type": "object"},
        "label_schema": {"type": "integer", "enum": [0, 1]},
        "input_example": {"text": "Fragile", "region": "north", "pieces": 2, "weight": 1.5},
    },
}
FEATURES = """
import numpy as np

REGIONS = ("north", "east", "south")

def words_of(text):
    return np.array([sum(map(ord, word)) % 97 for word in text.lower().split()], dtype=np.int64)

def region_of(region):
    return REGIONS.index(region) if region in REGIONS else -1

def numbers_of(pieces, weight):
    missing = weight is None or weight != weight
    return np.array([np.log1p(float(pieces)), -1.0 if missing else np.log1p(weight)], dtype=np.float32)
"""
NETWORK = """
import json
import torch

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 1)

    def forward(self, words, regions, numbers):
        counts = torch.tensor([[float(len(one))] for one in words])
        return torch.sigmoid(self.linear(torch.cat([counts + regions[:, None], numbers.float()], dim=1)))

    @classmethod
    def load(cls, folder):
        model = cls()
        weights = json.loads((folder / "model.json").read_text())
        with torch.no_grad():
            model.linear.weight.copy_(torch.tensor([weights]))
            model.linear.bias.zero_()
        return model.eval()
"""
TRAIN = """
import torch
import perennial_training
from features import numbers_of, region_of, words_of

def inputs_as_trained(folder, rows):
    numbers = [numbers_of(*one) for one in zip(rows["pieces"], rows["weight"])]
    return {
        "words": [words_of(text) for text in rows["text"]],
        "regions": torch.tensor([region_of(region) for region in rows["region"]]),
        "numbers": torch.stack([torch.from_numpy(one) for one in numbers]),
    }
"""
HANDLER = """
import numpy as np
import torch
from features import REGIONS, numbers_of, region_of, words_of
from network import Network
from perennial_handler import BadInstance, PerennialHandler

class Handler(PerennialHandler):
    def load(self, folder):
        self.model = Network.load(folder)

    def predict(self, instances):
        words = [words_of(one["text"]) for one in instances]
        regions = torch.tensor([region_of(one["region"]) for one in instances])
        numbers = torch.from_numpy(np.stack([numbers_of(a["pieces"], a.get("weight")) for a in instances]))
        scores = self.model(words, regions, numbers=numbers)[:, 0].tolist()
        return [{"prediction": int(score > 0.5), "score": score} for score in scores]
"""
TEXTS = ("Fragile glass", "two BOOKS", "Spare parts", "x")
REGIONS = ("north", "east", "south", "west")


def rows(count: int = 40) -> pa.Table:
    """Parcels of all kinds; every fifth has no weight."""
    numbers = range(count)
    return pa.table(
        {
            "id": [f"p{number:03d}" for number in numbers],
            "text": [TEXTS[number % 4] for number in numbers],
            "region": [REGIONS[number % 3] for number in numbers],
            "pieces": [number % 7 for number in numbers],
            "weight": [None if number % 5 == 4 else number / 7 for number in numbers],
            "label": [number % 2 for number in numbers],
        }
    )


def instances(count: int = 40) -> list[dict[str, Any]]:
    features = rows(count).select(PIPELINE["data"]["features"])
    return [{name: value for name, value in row.items() if value is not None} for row in features.to_pylist()]


def trained(home: Path, **changed: str) -> tuple[PipelineSpec, TrainingRun, Archive]:
    """A model that was trained, kept and packed; `changed` are the texts of its files, for the archive alone
    where the name begins with `served_`.
    """
    models, stored = home / "models", home / "run"
    texts = {"features": FEATURES, "network": NETWORK, "train": TRAIN, "handler": HANDLER}
    texts |= {name: text for name, text in changed.items() if name in texts}
    _write(models / NAME, texts)
    (models / "perennial_training.py").write_text("")
    spec = PipelineSpec.load(models / NAME / "pipeline.yaml")
    keep_code(models, NAME, str(stored))
    (stored / "model").mkdir()
    (stored / "model" / "model.json").write_text("[0.3, -0.2, 0.1]")
    parts = {name: judged.part(home / "parts", name, rows()) for name in ("train", "validation", "test")}
    run = judged.run(
        model=NAME,
        snapshot=judged.snapshot().model_copy(update=parts),
        model_files_url=str(stored / "model"),
    )
    served = {
        name.removeprefix("served_"): text for name, text in changed.items() if name.startswith("served_")
    }
    _write(models / NAME, texts | served)
    return spec, run, packed(spec, run, models, home)


def packed(spec: PipelineSpec, run: TrainingRun, models: Path, home: Path) -> Archive:
    """The archive of the model's folder as it is now."""
    file = build(spec, run, home / "packed", Code(PROJECT, models))
    sha256, size = files.sha256(str(file)), file.stat().st_size
    return judged.archive(model=spec.name, run_id=run.run_id, url=str(file), sha256=sha256, size_bytes=size)


def run_training_once(patch: pytest.MonkeyPatch, known: list[Inputs]) -> None:
    """Let replays keep in `known` what the first one's training gave to its network, and take it from there:
    for replays of the same rows through the same training and several archives.
    """
    run = replay._trained

    def trained(*how: Any) -> Inputs:
        if not known:
            known.append(run(*how))
        return known[0]

    patch.setattr(replay, "_trained", trained)


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.yaml").write_text(json.dumps(PIPELINE))
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
