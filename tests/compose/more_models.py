"""Images with further models, made from the platform's own
in seconds, as `make images` would make them of more folders.
"""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.conftest import PROJECT

MODEL = "review_sentiment"

# They prefer a GPU, so they wait for one of its slots; on an engine that has none they train on the CPU. What
# they learn is not good enough for the gate: nobody waits for a deployment.
ON_GPU = ("first", "second", "third")
HALF_A_CORE = {"cpus": 0.5, "memory_mib": 2048, "scratch_mib": 256, "gpus": "preferred"}
NEVER = {"first_model_minimum": {"accuracy": 0.9999}}

# A training is long because it waits in each epoch but the first two: as long on every machine, and it leaves
# the processors to others, for it learns little from few rows. It waits no more once somebody makes this file
# in its container.
EPOCH_SECONDS = 8
HURRY = "/scratch/hurry"
EVALUATE = "def evaluate(model: BagClassifier, part: Part) -> dict[str, float]:\n"
PATIENTLY = f"""
    import time
    evaluate.epoch = getattr(evaluate, "epoch", 0) + 1
    for _ in range({EPOCH_SECONDS * 10} if evaluate.epoch > 2 else 0):
        if not Path({HURRY!r}).exists():
            time.sleep(0.1)
"""
LABELLED = "WHERE label IS NOT NULL"
FEW = f"{LABELLED} ORDER BY review_id LIMIT 800"
IMAGES = PROJECT / ".perennial" / "images.env"
CHANGED = ("PERENNIAL_AIRFLOW_IMAGE", "PERENNIAL_ML_IMAGE")
TAG = "perennial-tests/more-models"


def write(folder: Path) -> None:
    """Models of the reviews that differ by name and resources, and that take their time to learn."""
    left_out = shutil.ignore_patterns("__pycache__", "requirements.txt")
    for name in ON_GPU:
        copy = shutil.copytree(PROJECT / "models" / MODEL, folder / name, ignore=left_out)
        spec = yaml.safe_load((copy / "pipeline.yaml").read_text(encoding="utf-8"))
        spec |= {"name": name, "training": spec["training"] | {"schedule": None}}
        assert LABELLED in spec["data"]["query"]
        spec["data"]["query"] = spec["data"]["query"].replace(LABELLED, FEW)
        spec |= {"resources": HALF_A_CORE, "gate": spec["gate"] | NEVER}
        (copy / "pipeline.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        for file, found, instead in (
            ("MLproject", f"name: {MODEL}", f"name: {name}"),
            ("MLproject", "default: 2097152", "default: 65536"),
            ("train.py", EVALUATE, EVALUATE + PATIENTLY),
        ):
            text = (copy / file).read_text(encoding="utf-8")
            assert found in text
            (copy / file).write_text(text.replace(found, instead), encoding="utf-8")


def build(folder: Path) -> dict[str, str]:
    """Lay the models into the images that run them and that show their DAGs.

    Returns:
        What the file that `make images` writes says of them; `images.env` in the folder says it too.
    """
    write(folder / "models")
    lines = (line.partition("=") for line in IMAGES.read_text(encoding="utf-8").splitlines())
    images = {name: value for name, _, value in lines}
    for name in CHANGED:
        (folder / "Dockerfile").write_text(
            f"FROM {images[name]}\nCOPY models /opt/perennial/models/\n", encoding="utf-8"
        )
        command = ["docker", "build", "--quiet", "--tag", TAG, str(folder)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"DOCKER_BUILDKIT": "0"}
        )
        images[name] = done.stdout.strip()
    (folder / "images.env").write_text("".join(f"{name}={value}\n" for name, value in images.items()))
    return images
