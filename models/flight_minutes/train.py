"""Train the regressor: an MLflow Project's program. `mlflow run models/flight_minutes` runs it by itself."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import example_data
import pandas as pd
import torch
from features import FEATURES, numbers_of, places_of, vocabulary_of
from network import MinutesRegressor
from perennial_training import fit, log_model, options, read_parts, training_run
from torch.nn.functional import mse_loss

LABEL = "arrival_delay_minutes"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some flights: places (rows, 7), numbers (rows, 8) and the labels in minutes (rows)."""

    places: torch.Tensor
    numbers: torch.Tensor
    minutes: torch.Tensor


def inputs_of(model: MinutesRegressor, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What `model.forward` is given."""
    flights, device = rows[FEATURES].to_dict("records"), model.center.device
    return {
        "places": torch.from_numpy(places_of(flights, model.vocabulary)).to(device),
        "numbers": torch.from_numpy(numbers_of(flights)).to(device),
    }


def inputs_as_trained(folder: Path, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What this training gives to its network for raw rows: the platform holds the handler against it."""
    return inputs_of(MinutesRegressor.load(folder), rows)


def prepare(model: MinutesRegressor, rows: pd.DataFrame) -> Part:
    minutes = torch.tensor(rows[LABEL].to_numpy(), dtype=torch.float32, device=model.center.device)
    return Part(**inputs_of(model, rows), minutes=minutes)


def scale(model: MinutesRegressor, train: Part) -> None:
    """Take the numbers' and the label's scale from the training rows."""
    columns = torch.cat([train.numbers, train.minutes.unsqueeze(1)], dim=1)
    model.center.copy_(columns.mean(dim=0))
    model.spread.copy_(columns.std(dim=0).clamp(min=1e-6))


def loss_of(model: MinutesRegressor, part: Part, rows: torch.Tensor) -> torch.Tensor:
    """The mean squared error of some rows, in squares of the label's standard deviation."""
    wanted = (part.minutes[rows] - model.center[-1]) / model.spread[-1]
    return mse_loss(model(part.places[rows], part.numbers[rows]), wanted)


def evaluate(model: MinutesRegressor, part: Part) -> dict[str, float]:
    """The loss, and the root mean squared error in minutes."""
    loss = float(loss_of(model, part, torch.arange(len(part.minutes))))
    return {"loss": loss, "rmse": loss**0.5 * float(model.spread[-1])}


def learn(model: MinutesRegressor, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    scale(model, train)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=chosen.learning_rate, weight_decay=chosen.weight_decay
    )
    fit(
        model,
        [optimiser],
        chosen,
        rows=len(train.minutes),
        loss_of=lambda rows: loss_of(model, train, rows),
        evaluate=lambda: evaluate(model, validation),
    )


def main() -> None:
    chosen = options(HERE, __doc__)
    with training_run(chosen) as training:
        train, validation = read_parts(chosen.data, example_data.training_parts)
        network = {name: getattr(chosen, name) for name in ("dimension", "hidden", "dropout")}
        vocabulary = vocabulary_of(train[FEATURES].to_dict("records"))
        model = MinutesRegressor(vocabulary, **network).to(training.device)
        learn(model, prepare(model, train), prepare(model, validation), chosen)
        model.save(training.folder)
        log_model(training, HERE, train[FEATURES].head(2), {"prediction": "double"})


if __name__ == "__main__":
    main()
