"""Each shipped model, trained once more in another process, has the same weights.

That a version's archive, metrics and answers come out the same by its records alone is tested with a digit's
model in tests/model/test_handwritten_digit.py, and of a fresh clone in tests/steps/test_reproduce.py.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.spec import PipelineSpec
from tasks.stores import files
from tests.conftest import PROJECT
from tests.model.conftest import SHIPPED

ROWS = 400
SMALL = {"review_sentiment": ["--buckets", "4096"]}
LEVELS = "0123456789abcdefg"

# All of them in one process, which has imported torch and MLflow once; what MLflow is given of the model
# beside its files is left out.
TRAIN_EACH = """
import json, sys
import perennial_training
perennial_training.log_model = lambda *_, **__: None
for folder, arguments in json.loads(sys.argv[1]):
    for name in ("train", "features", "network", "example_data"):
        sys.modules.pop(name, None)
    sys.path[0], sys.argv[1:] = folder, arguments
    import train
    train.main()
"""


def rows_of(spec: PipelineSpec, seed: int) -> pd.DataFrame:
    """Rows with the columns of a model's table, each feature at random around its example."""
    chosen = random.Random(seed)
    labels = spec.serving.label_schema.get("enum", range(-30, 90))
    return pd.DataFrame(
        [
            {name: varied(value, chosen) for name, value in spec.serving.input_example.items()}
            | {spec.data.label: chosen.choice(list(labels))}
            for _ in range(ROWS)
        ]
    )


def varied(value: Any, chosen: random.Random) -> Any:
    if isinstance(value, str) and len(value) == 64:
        return "".join(chosen.choices(LEVELS, k=64))
    if isinstance(value, str):
        return f"{value} {' '.join(chosen.choices('abcdefgh', k=3))}"
    return type(value)(chosen.randint(1, 7))


def train_each(data: Path, output: Path, store: Path, seed: str) -> dict[str, str]:
    """Train a small version of each model in one process; returns the SHA-256 of each file written."""
    calls = []
    for model in SHIPPED:
        own = ["--data", str(data / model), "--output", str(output / model), *SMALL.get(model, ())]
        calls.append((str(PROJECT / "models" / model), [*own, "--epochs", "2"]))
        (output / model).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_EACH, json.dumps(calls)],
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT / "models"),
            "PYTHONHASHSEED": seed,
            "MLFLOW_TRACKING_URI": f"sqlite:///{store}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_EXPERIMENT_NAME": "tested",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = sorted(path for path in output.rglob("*") if path.is_file())
    return {str(path.relative_to(output)): files.sha256(str(path)) for path in written}


def test_trained_again_each_model_is_the_same_bit_for_bit(tracking: Path, tmp_path: Path) -> None:
    """Whatever Python's own hashes of texts are, which are others in each process."""
    for model in SHIPPED:
        spec = PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml")
        (tmp_path / "data" / model).mkdir(parents=True)
        for seed, part in enumerate(("train", "validation")):
            rows_of(spec, seed).to_parquet(tmp_path / "data" / model / f"{part}.parquet")

    first, again = (train_each(tmp_path / "data", tmp_path / seed, tracking, seed) for seed in ("1", "2"))

    assert {Path(name).parts[0] for name in first} == {*SHIPPED}
    assert first == again
