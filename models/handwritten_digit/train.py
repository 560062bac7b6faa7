"""Train the classifier: an MLflow Project's program. `mlflow run models/handwritten_digit` runs it alone."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import example_data
import pandas as pd
import torch
from features import images_of
from network import DIGITS, DigitClassifier
from perennial_training import fit, log_model, options, read_parts, training_run
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some digits: images (rows, 1, 8, 8), and each one's place in `DIGITS` (rows)."""

    images: torch.Tensor
    digits: torch.Tensor


def inputs_of(rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What the network's `forward` is given."""
    return {"images": torch.from_numpy(images_of(rows["pixels"].tolist()))}


def inputs_as_trained(folder: Path, rows: pd.DataFrame) -> dict[str, torch.Tensor]:  # noqa: ARG001 - as for any model
    """What this training gives to its network for raw rows: the platform holds the handler against it."""
    return inputs_of(rows)


def prepare(rows: pd.DataFrame, device: torch.device) -> Part:
    digits = torch.tensor([DIGITS.index(digit) for digit in rows["digit"]])
    return Part(inputs_of(rows)["images"].to(device), digits.to(device))


def evaluate(model: DigitClassifier, part: Part) -> dict[str, float]:
    logits = model(part.images)
    right = logits.argmax(dim=1) == part.digits
    return {"loss": float(cross_entropy(logits, part.digits)), "accuracy": float(right.float().mean())}


def learn(model: DigitClassifier, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=chosen.learning_rate)
    fit(
        model,
        [optimiser],
        chosen,
        rows=len(train.digits),
        loss_of=lambda rows: cross_entropy(model(train.images[rows]), train.digits[rows]),
        evaluate=lambda: evaluate(model, validation),
    )


def main() -> None:
    chosen = options(HERE, __doc__)
    with training_run(chosen) as training:
        train, validation = read_parts(chosen.data, example_data.training_parts)
        model = DigitClassifier(channels=chosen.channels, dropout=chosen.dropout).to(training.device)
        learn(model, prepare(train, training.device), prepare(validation, training.device), chosen)
        model.save(training.folder)
        answer = {"prediction": "string", "score": "double"}
        log_model(training, HERE, train[["pixels"]].head(2), answer)


if __name__ == "__main__":
    main()
