"""The shipped models' training programs on a GPU: the same weights twice, and what it draws.

    .perennial/envs/dev/bin/python benchmarks/gpu_training.py [--epochs 3]

Needs a GPU that torch sees, torch's build for it, and the packages of the example data. Each model's program
is called twice on the GPU and once on the processor, all with the same seed, rows and number of epochs, each
in a process of its own. Prints the seconds of each (with those in which Python and CUDA start), the joules
that the GPU counted in the second call, what the default of PERENNIAL_GPU_WATTS would say of it, and which
samples of the GPU MLflow has kept. Exits with 1 where two calls on the GPU gave other weights, or where the
GPU counted nothing.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.training import gpu_energy  # noqa: E402 - found by the path above

MODELS = sorted(path.parent.name for path in PROJECT.glob("models/*/pipeline.yaml"))
STATED_WATTS = 300.0
"""The default of PERENNIAL_GPU_WATTS."""


@dataclass(frozen=True)
class Call:
    """One training: its weights' hash, its seconds, and what the GPU drew meanwhile."""

    weights: str
    seconds: float
    joules: float | None


def main(epochs: Annotated[int, typer.Option(help="Passes over the rows, of each training.")] = 3) -> None:
    """Train everything and judge."""
    if not torch.cuda.is_available():
        raise typer.BadParameter("torch sees no GPU here; on the processor there is nothing to compare.")
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, {epochs} epochs\n")
    print(f"{'model':20}{'weights':>10}{'GPU s':>8}{'CPU s':>8}{'joules':>9}{'stated J':>10}{'mean W':>8}")
    sound = True
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            calls = [train(model, epochs, Path(folder, model, name)) for name in ("first", "again")]
            on_processor = train(model, epochs, Path(folder, model, "processor"), CUDA_VISIBLE_DEVICES="")
            same = calls[0].weights == calls[1].weights
            sound = sound and same and calls[1].joules is not None
            print(row(model, "same" if same else "OTHER", calls[1], on_processor.seconds), flush=True)
        print(f"\nMLflow has kept of the GPU: {', '.join(kept_of_gpu(Path(folder))) or 'nothing'}")
    raise typer.Exit(0 if sound else 1)


def row(model: str, weights: str, again: Call, processor_seconds: float) -> str:
    """One model's line of the table."""
    joules = again.joules or 0.0
    return (
        f"{model:20}{weights:>10}{again.seconds:8.1f}{processor_seconds:8.1f}"
        f"{joules:9.0f}{again.seconds * STATED_WATTS:10.0f}{joules / again.seconds:8.0f}"
    )


def train(model: str, epochs: int, output: Path, **variables: str) -> Call:
    """Call its train.py on its example data.

    Raises:
        CalledProcessError: It failed; what it said stands above.
    """
    output.mkdir(parents=True)
    before, began = gpu_energy.joules(), time.monotonic()
    subprocess.run(
        [sys.executable, "train.py", "--epochs", str(epochs), "--output", str(output)],
        cwd=PROJECT / "models" / model,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROJECT / "models"), os.environ.get("PYTHONPATH", "")]),
            "PYTHONHASHSEED": "0",
            "MLFLOW_TRACKING_URI": tracking(output.parent.parent),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **variables,
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    seconds, after = time.monotonic() - began, gpu_energy.joules()
    weights = hashlib.sha256((output / "weights.safetensors").read_bytes()).hexdigest()
    return Call(weights, seconds, None if before is None or after is None else after - before)


def kept_of_gpu(folder: Path) -> list[str]:
    """The names of MLflow's samples of the GPU, over all runs."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking(folder))
    names = {name for run in client.search_runs(["0"]) for name in run.data.metrics}
    return sorted(name for name in names if name.startswith("system/gpu"))


def tracking(folder: Path) -> str:
    """A database of this benchmark's own."""
    return f"sqlite:///{folder / 'mlflow.db'}"


if __name__ == "__main__":
    typer.run(main)
