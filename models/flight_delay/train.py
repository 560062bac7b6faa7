"""Train the classifier: an MLflow Project's program. `mlflow run models/flight_delay` runs it by itself."""

import argparse
import copy
import os
import random
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import example_data
import mlflow
import numpy as np
import pandas as pd
import torch
import yaml
from features import categories_of, numbers_of
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from network import DelayClassifier
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

FEATURES = [
    "flight",
    "carrier",
    "origin",
    "destination",
    "month",
    "weekday",
    "departure_minute",
    "distance_miles",
]
TEXTS = FEATURES[:4]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some flights: buckets (rows, 7), numbers (rows, 3) and labels (rows)."""

    categories: torch.Tensor
    numbers: torch.Tensor
    labels: torch.Tensor


def options() -> argparse.Namespace:
    """MLproject's parameters, with its defaults: they are written down once."""
    parser = argparse.ArgumentParser(description=__doc__)
    project = yaml.safe_load((HERE / "MLproject").read_text(encoding="utf-8"))
    for name, parameter in project["entry_points"]["main"]["parameters"].items():
        kind = {"int": int, "float": float, "string": str}[parameter["type"]]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=parameter["default"],
            help=parameter["description"],
        )
    return parser.parse_args()


def read(data: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to learn from, and those that only decide when to stop."""
    if not data:
        return example_data.training_parts()
    return pd.read_parquet(Path(data, "train.parquet")), pd.read_parquet(Path(data, "validation.parquet"))


def prepare(rows: pd.DataFrame, buckets: int) -> Part:
    flights = rows[FEATURES].to_dict("records")
    return Part(
        torch.from_numpy(categories_of(flights, buckets=buckets)),
        torch.from_numpy(numbers_of(flights)),
        torch.tensor(rows["late"].astype("int64").to_numpy(), dtype=torch.float32),
    )


def initialise(model: DelayClassifier, train: Part) -> None:
    """Take the numbers' scale and the share of late flights from the training rows."""
    model.center.copy_(train.numbers.mean(dim=0))
    model.spread.copy_(train.numbers.std(dim=0).clamp(min=1e-6))
    with torch.no_grad():
        model.layers[-1].bias.fill_(torch.logit(train.labels.mean(), eps=1e-3))


def train_epoch(
    model: DelayClassifier, train: Part, optimiser: torch.optim.Optimizer, batch_size: int
) -> float:
    """One pass in random order; returns the mean loss."""
    model.train()
    total = 0.0
    for rows in torch.randperm(len(train.labels)).split(batch_size):
        loss = cross_entropy(model(train.categories[rows], train.numbers[rows]), train.labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.item() * len(rows)
    return total / len(train.labels)


@torch.inference_mode()
def evaluate(model: DelayClassifier, part: Part) -> tuple[float, float]:
    """Loss and area under the ROC curve (by ranks: the
    chance that a late flight scores above a punctual one).
    """
    model.eval()
    odds = model(part.categories, part.numbers)
    ranks = pd.Series(odds.numpy()).rank().to_numpy()
    late = part.labels.numpy() > 0.5
    pairs = late.sum() * (~late).sum()
    auc = (ranks[late].sum() - late.sum() * (late.sum() + 1) / 2) / pairs if pairs else float("nan")
    return float(cross_entropy(odds, part.labels)), float(auc)


def fit(model: DelayClassifier, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    """Train until the validation loss has not improved for
    `patience` epochs, and keep the best epoch's weights.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=chosen.learning_rate)
    best, best_epoch, weights = float("inf"), 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, chosen.epochs + 1):
        train_loss = train_epoch(model, train, optimiser, chosen.batch_size)
        loss, auc = evaluate(model, validation)
        mlflow.log_metrics(
            {"train_loss": train_loss, "validation_loss": loss, "validation_roc_auc": auc}, step=epoch
        )
        print(
            f"epoch {epoch}: train loss {train_loss:.4f}, validation loss {loss:.4f}, ROC AUC {auc:.4f}",
            flush=True,
        )
        if loss < best:
            best, best_epoch, weights = loss, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= chosen.patience:
            break
    model.load_state_dict(weights)
    mlflow.log_metrics({"best_epoch": best_epoch, "best_validation_loss": best})


def log_model(folder: Path, example: pd.DataFrame) -> None:
    """Log the model from code, with explicit requirements: MLflow takes a minute to infer them."""
    inputs = Schema([ColSpec("string" if name in TEXTS else "long", name) for name in FEATURES])
    answer = Schema([ColSpec("long", "prediction"), ColSpec("double", "score")])
    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(HERE / "pyfunc.py"),
        artifacts={"model": str(folder)},
        code_paths=[str(HERE / "features.py"), str(HERE / "network.py")],
        signature=ModelSignature(inputs, answer),
        input_example=example,
        pip_requirements=[
            f"{name}=={version(name)}" for name in ("mlflow", "torch", "safetensors", "numpy", "pandas")
        ],
    )


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(1)  # sums in one order, whatever the machine


def main() -> None:
    chosen = options()
    seed_everything(chosen.seed)
    mlflow.enable_system_metrics_logging()
    mlflow.set_system_metrics_sampling_interval(1)
    recorded = "MLFLOW_RUN_ID" in os.environ  # by whoever made the run; starting it takes the variable away
    with mlflow.start_run(), tempfile.TemporaryDirectory() as temporary:
        if not recorded:
            mlflow.log_params(vars(chosen))
        train_rows, validation_rows = read(chosen.data)
        train, validation = prepare(train_rows, chosen.buckets), prepare(validation_rows, chosen.buckets)
        network = {name: getattr(chosen, name) for name in ("buckets", "dimension", "hidden", "dropout")}
        model = DelayClassifier(**network)
        initialise(model, train)
        fit(model, train, validation, chosen)
        folder = Path(chosen.output or temporary)
        model.save(folder)
        log_model(folder, train_rows[FEATURES].head(2))


if __name__ == "__main__":
    main()
