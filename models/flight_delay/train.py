"""Train the classifier: an MLflow Project's program. `mlflow run models/flight_delay` runs it by itself."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import example_data
import pandas as pd
import torch
from features import categories_of, numbers_of
from network import DelayClassifier
from perennial_training import fit, log_model, options, read_parts, training_run
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
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some flights: buckets (rows, 7), numbers (rows, 3) and labels (rows)."""

    categories: torch.Tensor
    numbers: torch.Tensor
    labels: torch.Tensor


def inputs_of(model: DelayClassifier, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What `model.forward` is given."""
    flights, device = rows[FEATURES].to_dict("records"), model.center.device
    return {
        "categories": torch.from_numpy(categories_of(flights, buckets=model.buckets)).to(device),
        "numbers": torch.from_numpy(numbers_of(flights)).to(device),
    }


def inputs_as_trained(folder: Path, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What this training gives to its network for raw rows: the platform holds the handler against it."""
    return inputs_of(DelayClassifier.load(folder), rows)


def prepare(model: DelayClassifier, rows: pd.DataFrame) -> Part:
    late = rows["late"].astype("int64").to_numpy()
    labels = torch.tensor(late, dtype=torch.float32, device=model.center.device)
    return Part(**inputs_of(model, rows), labels=labels)


def initialise(model: DelayClassifier, train: Part) -> None:
    """Take the numbers' scale and the share of late flights from the training rows."""
    model.center.copy_(train.numbers.mean(dim=0))
    model.spread.copy_(train.numbers.std(dim=0).clamp(min=1e-6))
    with torch.no_grad():
        model.layers[-1].bias.fill_(torch.logit(train.labels.mean(), eps=1e-3))


def evaluate(model: DelayClassifier, part: Part) -> dict[str, float]:
    """Loss and area under the ROC curve (by ranks: the
    chance that a late flight scores above a punctual one).
    """
    odds = model(part.categories, part.numbers)
    ranks = pd.Series(odds.cpu().numpy()).rank().to_numpy()
    late = part.labels.cpu().numpy() > 0.5
    pairs = late.sum() * (~late).sum()
    auc = (ranks[late].sum() - late.sum() * (late.sum() + 1) / 2) / pairs if pairs else float("nan")
    return {"loss": float(cross_entropy(odds, part.labels)), "roc_auc": float(auc)}


def learn(model: DelayClassifier, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    initialise(model, train)
    optimiser = torch.optim.Adam(model.parameters(), lr=chosen.learning_rate)
    fit(
        model,
        [optimiser],
        chosen,
        rows=len(train.labels),
        loss_of=lambda rows: cross_entropy(
            model(train.categories[rows], train.numbers[rows]), train.labels[rows]
        ),
        evaluate=lambda: evaluate(model, validation),
    )


def main() -> None:
    chosen = options(HERE, __doc__)
    with training_run(chosen) as training:
        train, validation = read_parts(chosen.data, example_data.training_parts)
        network = {name: getattr(chosen, name) for name in ("buckets", "dimension", "hidden", "dropout")}
        model = DelayClassifier(**network).to(training.device)
        learn(model, prepare(model, train), prepare(model, validation), chosen)
        model.save(training.folder)
        log_model(training, HERE, train[FEATURES].head(2), {"prediction": "long", "score": "double"})


if __name__ == "__main__":
    main()
