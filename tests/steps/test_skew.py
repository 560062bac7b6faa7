"""Logged requests replayed through a training's own code and through the archive, in real processes."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import Archive, Signal, TrainingRun
from tasks.evaluation.preparation.candidate import preparation_of
from tasks.gate.rules.preparation import prepares_as_trained
from tasks.monitoring.skew.look import look
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.steps.replayed import FEATURES, HANDLER, NAME, NETWORK, TRAIN, instances, trained
from tests.unit.monitoring.traffic import DAY, START

WINDOW = (START, START + DAY)
LINEAR = (0.3, -0.2, 0.1)

FAULTS = {
    "lower-casing is forgotten": ("features", "text.lower().split()", "text.split()", "words[0]"),
    "categories in another order": ("features", '"north", "east"', '"east", "north"', "regions"),
    "a null is another number": ("features", "-1.0 if missing", "0.0 if missing", "numbers[1]"),
    "numbers of another type": ("handler", "numbers = torch", "numbers = 1.0 * torch", "numbers"),
    "rounded in single precision": (
        "features",
        "np.log1p(float(pieces))",
        "np.log1p(np.float32(pieces))",
        "numbers[0]",
    ),
    "an instance is changed on its way": (
        "handler",
        "scores = self",
        "words = [one[::-1] for one in words]; scores = self",
        "words[0]",
    ),
    "an input is left out": ("handler", "words, regions, numbers", "words, regions, numbers", ""),
}


def broken(name: str) -> dict[str, str]:
    """The text of the file that the archive has in place of the right one."""
    file, right, wrong, _ = FAULTS[name]
    text = {"features": FEATURES, "handler": HANDLER, "network": NETWORK}[file]
    assert right in text
    return {f"served_{file}": text.replace(right, wrong)}


def log(answers: list[dict[str, Any]], asked: list[dict[str, Any]] | None = None, run: str = "r") -> None:
    """Let these requests have been answered in the window."""
    asked = instances() if asked is None else asked
    assert len(asked) == len(answers)
    logged = pa.table(
        {
            "sequence": list(range(len(asked))),
            "prediction_id": [f"q{number}" for number in range(len(asked))],
            "predicted_at": pa.array([START + timedelta(hours=1)] * len(asked), pa.timestamp("us", "UTC")),
            "run_id": [run] * len(asked),
            "request": [json.dumps(instance) for instance in asked],
            "prediction": [json.dumps(answer["prediction"]) for answer in answers],
            "score": [answer["score"] for answer in answers],
        }
    )
    Lake().append(f"{NAME}__predictions", logged, batch_id=f"{run}-{len(asked)}")


def answers_of(count: int = 40) -> list[dict[str, Any]]:
    """What the right model answers."""
    import math

    found = []
    for one in instances(count):
        region = {"north": 0, "east": 1, "south": 2}.get(one["region"], -1)
        weight = math.log1p(one["weight"]) if "weight" in one else -1.0
        inputs = (len(one["text"].split()) + region, math.log1p(one["pieces"]), weight)
        odds = sum(factor * value for factor, value in zip(LINEAR, inputs, strict=True))
        score = 1 / (1 + math.exp(-odds))
        found.append({"prediction": int(score > 0.5), "score": score})
    return found


def looked(home: Path, spec: PipelineSpec, run: TrainingRun, archive: Archive) -> tuple[Signal, ...]:
    return look(spec, run, archive, WINDOW, str(home / "work"))


def test_a_handler_that_prepares_as_the_training_did_is_quiet(home: Path) -> None:
    spec, run, archive = trained(home)
    log(answers_of(), run=run.run_id)

    assert looked(home, spec, run, archive) == ()
    kept = json.loads((home / "work" / "skew.json").read_text())
    assert (kept["preparation"]["rows"], len(kept["answers"])) == (40, 40)
    assert prepares_as_trained(found := preparation_of(spec, run, Path(archive.url))).passed
    assert found.rows == 40
