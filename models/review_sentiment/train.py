"""Train the classifier: an MLflow Project's program. `mlflow run models/review_sentiment` runs it by itself.

The first column of the embedding starts as the naive-Bayes log-count ratio of each n-gram, which a linear
model then only has to correct: on 17,500 reviews that is worth more than any width. Source: Wang and Manning,
Baselines and Bigrams, ACL 2012.
"""

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
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from network import BagClassifier
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

EVALUATION_ROWS = 512
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some rows: the buckets of each text, and the labels."""

    texts: list[np.ndarray]
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


def prepare(model: BagClassifier, rows: pd.DataFrame) -> Part:
    labels = torch.tensor(rows["label"].to_numpy(), dtype=torch.float32)
    return Part([model.buckets_of(text) for text in rows["text"]], labels)


def counts(part: Part, label: int, buckets: int) -> np.ndarray:
    """In how many texts with this label each bucket occurs."""
    chosen = [text for text, is_one in zip(part.texts, part.labels.tolist(), strict=True) if is_one == label]
    return np.bincount(np.concatenate([*chosen, np.zeros(0, dtype=np.int64)]), minlength=buckets)


def initialise(model: BagClassifier, train: Part, *, minimum_texts: int, prior: float) -> None:
    """Start from naive Bayes, and mark the buckets that occur often enough to be learnt."""
    positive, negative = (counts(train, label, model.buckets) for label in (1, 0))
    ones = float(train.labels.sum())
    ratio = np.log((positive + 1) / (ones + 2)) - np.log((negative + 1) / (len(train.texts) - ones + 2))
    with torch.no_grad():
        model.known.copy_(torch.from_numpy(positive + negative >= minimum_texts))
        model.embedding.weight.normal_(0, 1e-3)
        model.embedding.weight[:, 0] = torch.from_numpy(ratio * prior).float()
        model.embedding.weight[~model.known] = 0
        model.linear.weight.normal_(0, 0.3)
        model.linear.weight[0, 0] = 1
        model.linear.bias.zero_()


def without_unknown(model: BagClassifier, part: Part) -> Part:
    """The same rows without the buckets that count for nothing: half of the work."""
    known = model.known.numpy()
    return Part([text[known[text]] for text in part.texts], part.labels)


def train_epoch(
    model: BagClassifier, train: Part, optimisers: list[torch.optim.Optimizer], batch_size: int
) -> float:
    """One pass in random order; returns the mean loss."""
    total = 0.0
    for rows in torch.randperm(len(train.texts)).split(batch_size):
        loss = cross_entropy(model([train.texts[row] for row in rows]), train.labels[rows])
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        total += loss.item() * len(rows)
    return total / len(train.texts)


@torch.inference_mode()
def evaluate(model: BagClassifier, part: Part) -> tuple[float, float]:
    """Loss and accuracy."""
    starts = range(0, len(part.texts), EVALUATION_ROWS)
    odds = torch.cat([model(part.texts[start : start + EVALUATION_ROWS]) for start in starts])
    return float(cross_entropy(odds, part.labels)), float(((odds > 0) == (part.labels > 0.5)).float().mean())


def fit(model: BagClassifier, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    """Train until the validation loss has not improved for
    `patience` epochs, and keep the best epoch's weights.
    """
    sparse = torch.optim.SparseAdam(model.embedding.parameters(), lr=chosen.learning_rate)
    dense = torch.optim.Adam(model.linear.parameters(), lr=chosen.learning_rate)
    best, best_epoch, weights = float("inf"), 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, chosen.epochs + 1):
        train_loss = train_epoch(model, train, [sparse, dense], chosen.batch_size)
        loss, accuracy = evaluate(model, validation)
        mlflow.log_metrics(
            {"train_loss": train_loss, "validation_loss": loss, "validation_accuracy": accuracy}, step=epoch
        )
        print(
            f"epoch {epoch}: train loss {train_loss:.4f}, validation loss {loss:.4f}, accuracy "
            f"{accuracy:.4f}",
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
    answer = Schema([ColSpec("long", "prediction"), ColSpec("double", "score")])
    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(HERE / "pyfunc.py"),
        artifacts={"model": str(folder)},
        code_paths=[str(HERE / "features.py"), str(HERE / "network.py")],
        signature=ModelSignature(Schema([ColSpec("string", "text")]), answer),
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
        model = BagClassifier(buckets=chosen.buckets, dimension=chosen.dimension, ngrams=chosen.ngrams)
        train, validation = prepare(model, train_rows), prepare(model, validation_rows)
        initialise(model, train, minimum_texts=chosen.minimum_texts, prior=chosen.prior)
        fit(model, without_unknown(model, train), without_unknown(model, validation), chosen)
        folder = Path(chosen.output or temporary)
        model.save(folder)
        log_model(folder, train_rows[["text"]].head(2))


if __name__ == "__main__":
    main()
