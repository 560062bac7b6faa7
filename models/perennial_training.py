"""What every training program does beside its model: options, data, seed, device, MLflow run, the best epoch.

The one thing of Perennial that a model imports, and only its train.py does. A training program may do without
it. The command in MLproject begins with `PYTHONPATH=..`, so that this file is found in a child process, in an
image and under plain `mlflow run` alike.
"""

import argparse
import copy
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import torch
import yaml
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyarrow.fs import LocalFileSystem

CODE = ("features.py", "network.py")
TYPES = {"int": int, "integer": int, "float": float, "number": float, "string": str, "path": str, "uri": str}
NEEDED_TO_LOAD = ("mlflow", "torch", "safetensors", "numpy", "pandas")
Parts = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Training:
    """Where a training works.

    Attributes:
        folder: Everything that serving needs is saved here.
        device: What to train on: the first GPU that torch sees, else the processor.
    """

    folder: Path
    device: torch.device


def options(project: Path, description: str | None = None) -> argparse.Namespace:
    """The parameters that MLproject declares, from the command line; its defaults are written down once.

    Args:
        project: The model's folder.
    """
    parser = argparse.ArgumentParser(description=description)
    document = yaml.safe_load((project / "MLproject").read_text(encoding="utf-8"))
    for name, parameter in document["entry_points"]["main"]["parameters"].items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=TYPES[parameter["type"]],
            default=parameter["default"],
            help=parameter["description"],
        )
    return parser.parse_args()


def read_parts(data: str, example: Callable[[], Parts]) -> Parts:
    """The rows to learn from, and those that only decide when to stop.

    Args:
        data: The folder that holds them as train.parquet and validation.parquet; empty for `example()`.
    """
    if not data:
        return example()
    # By Arrow's own files: after reading through Python's, a process may never end (apache/arrow#50482).
    own = LocalFileSystem()
    train, validation = (str(Path(data, f"{part}.parquet")) for part in ("train", "validation"))
    return pd.read_parquet(train, filesystem=own), pd.read_parquet(validation, filesystem=own)


@contextmanager
def training_run(chosen: argparse.Namespace) -> Iterator[Training]:
    """Seed everything, choose the device, and keep an MLflow run open around the training.

    A run that is recorded already, by the platform or by `mlflow run`, goes on; another gets its parameters
    here. Memory, processor and GPU are sampled once a second.

    Args:
        chosen: The options, with `seed` and `output`; an empty `output` is a temporary folder.
    """
    seed_everything(chosen.seed)
    mlflow.enable_system_metrics_logging()
    mlflow.set_system_metrics_sampling_interval(1)
    recorded = "MLFLOW_RUN_ID" in os.environ  # starting the run takes the variable away
    with mlflow.start_run(), tempfile.TemporaryDirectory() as temporary:
        if not recorded:
            mlflow.log_params(vars(chosen))
        device = choose_device()
        threads = torch.get_num_threads()
        mlflow.set_tags({"perennial.device": str(device), "perennial.threads": threads})
        print(f"Training on {device_name(device)}.", flush=True)
        yield Training(Path(chosen.output or temporary), device)


def seed_everything(seed: int) -> None:
    """Let the same seed on the same rows give the same weights, on one class of hardware.

    An operation that has no deterministic form raises then. To be called before anything runs on a GPU.

    Source: https://pytorch.org/docs/stable/notes/randomness.html
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    torch.backends.cudnn.benchmark = False  # else the fastest algorithm of the moment is taken
    torch.set_num_threads(1)  # sums in one order, however many cores there are


def choose_device() -> torch.device:
    """CUDA where torch sees a GPU. The platform hides it from a model whose pipeline.yaml asks for none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """The device as a person knows it."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def fit(
    model: torch.nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    chosen: argparse.Namespace,
    *,
    rows: int,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    evaluate: Callable[[], Mapping[str, float]],
) -> None:
    """Train until the validation loss has not improved for some epochs; keep the best epoch's weights.

    Args:
        chosen: The options `epochs`, the most passes, `patience`, how many without a better loss, and
            `batch_size`.
        rows: How many training rows there are.
        loss_of: The mean loss of the training rows with these numbers.
        evaluate: What the validation rows say: `loss`, which decides, and metrics that are only logged.
            Called in evaluation mode and without gradients. What it said of the weights that are kept is
            logged once more, as `best_validation_<name>`: the platform holds the served archive against it.

    Raises:
        FloatingPointError: A loss is not a number: the training has diverged.
    """
    best = {"best_epoch": 0.0, "best_validation_loss": float("inf")}
    weights = copy.deepcopy(model.state_dict())
    for epoch in range(1, chosen.epochs + 1):
        model.train()
        found = {"train_loss": train_epoch(optimisers, rows, loss_of, chosen.batch_size)}
        model.eval()
        with torch.inference_mode():
            judged = {f"validation_{name}": value for name, value in evaluate().items()}
        found |= judged
        mlflow.log_metrics(found, step=epoch)
        said = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        print(f"epoch {epoch}: {said}", flush=True)
        loss = found["validation_loss"]
        _require_number(loss, epoch)
        if loss < best["best_validation_loss"]:
            weights = copy.deepcopy(model.state_dict())
            best = {"best_epoch": epoch} | {f"best_{name}": value for name, value in judged.items()}
        elif epoch - best["best_epoch"] >= chosen.patience:
            break
    model.load_state_dict(weights)
    mlflow.log_metrics(best)


def train_epoch(
    optimisers: Sequence[torch.optim.Optimizer],
    rows: int,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    batch_size: int,
) -> float:
    """One pass over the rows in random order, a step a batch; returns the mean loss."""
    total = 0.0
    for batch in torch.randperm(rows).split(batch_size):
        loss = loss_of(batch)
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        total += loss.item() * len(batch)
    return total / rows


def _require_number(loss: float, epoch: int) -> None:
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"The validation loss of epoch {epoch} is {loss}: the training has diverged. Lower the learning "
            "rate, or look for rows whose features or labels are not numbers."
        )


def log_model(
    training: Training,
    project: Path,
    example: pd.DataFrame,
    answer: Mapping[str, str],
    *,
    code: Sequence[str] = CODE,
) -> None:
    """Log what was saved as an MLflow model from code (the project's pyfunc.py), so that nothing is pickled.

    Its requirements are given: MLflow takes a minute to infer them.

    Args:
        example: A few rows of the features; the model's input has their columns and types.
        answer: The columns of the model's output, each with MLflow's name of its type, for example `double`.
        code: The files of the project that pyfunc.py imports.
    """
    inputs = Schema([ColSpec(_type_of(example[name]), name) for name in example.columns])
    outputs = Schema([ColSpec(kind, name) for name, kind in answer.items()])
    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(project / "pyfunc.py"),
        artifacts={"model": str(training.folder)},
        code_paths=[str(project / name) for name in code],
        signature=ModelSignature(inputs, outputs),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in NEEDED_TO_LOAD],
    )


def _type_of(column: "pd.Series") -> str:
    kinds = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
    return kinds.get(column.dtype.kind, "string")
