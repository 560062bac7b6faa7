"""Images with further models, made from the platform's own
in seconds, as `make images` would make them of more folders.
"""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.compose.conftest import MODEL
from tests.conftest import PROJECT

# They prefer a GPU, so they wait for one of its slots; on an engine that has none they train on the CPU. Half
# a core, so that three long trainings leave room for everybody else.
ON_GPU = ("first", "second", "third")
HALF_A_CORE = {"cpus": 0.5, "memory_mib": 2048, "scratch_mib": 256, "gpus": "preferred"}

GREEDY = "greedy"
GREEDY_MIB = 700
HOARD = """
print("taking more and more", flush=True)
hoard = []
while True:
    hoard.append(b"x" * 2**26)
"""
IMAGES = PROJECT / ".perennial" / "images.env"
TAG = "perennial-tests/more-models"


def write(folder: Path) -> None:
    """Models of the reviews that differ by name and resources,
    and one whose program takes all memory that it gets.
    """
    left_out = shutil.ignore_patterns("__pycache__", "requirements.txt")
    for name in (*ON_GPU, GREEDY):
        copy = shutil.copytree(PROJECT / "models" / MODEL, folder / name, ignore=left_out)
        spec = yaml.safe_load((copy / "pipeline.yaml").read_text(encoding="utf-8"))
        spec |= {"name": name, "training": spec["training"] | {"schedule": None}}
        spec["resources"] = HALF_A_CORE
        if name == GREEDY:
            spec["resources"] = HALF_A_CORE | {"memory_mib": GREEDY_MIB, "scratch_mib": 64, "gpus": "none"}
            (copy / "train.py").write_text(HOARD, encoding="utf-8")
        (copy / "pipeline.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        project = copy / "MLproject"
        project.write_text(
            project.read_text(encoding="utf-8").replace(f"name: {MODEL}", f"name: {name}"), encoding="utf-8"
        )


def build(folder: Path) -> dict[str, str]:
    """Lay the models into the images that run them and that show their DAGs.

    Returns:
        What the file that `make images` writes would say.
    """
    write(folder / "models")
    lines = (line.partition("=") for line in IMAGES.read_text(encoding="utf-8").splitlines())
    images = {name: value for name, _, value in lines}
    for name in ("PERENNIAL_AIRFLOW_IMAGE", "PERENNIAL_ML_IMAGE"):
        (folder / "Dockerfile").write_text(
            f"FROM {images[name]}\nCOPY models /opt/perennial/models/\n", encoding="utf-8"
        )
        command = ["docker", "build", "--quiet", "--tag", TAG, str(folder)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"DOCKER_BUILDKIT": "0"}
        )
        images[name] = done.stdout.strip()
    return images
