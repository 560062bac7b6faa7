"""Train the network: an MLflow Project's program. `mlflow run` on this folder runs it by itself."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import example_data
import pandas as pd
import torch
from features import FEATURES, inputs_of
from labels import ANSWER, Labels
from network import Network
from perennial_training import fit, log_model, options, read_parts, training_run

LABEL = "label"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some rows: inputs (rows, WIDTH) and what the outputs should be."""

    inputs: torch.Tensor
    targets: torch.Tensor


def network_inputs(rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What the network's `forward` is given, by the names of its parameters."""
    return {"inputs": torch.from_numpy(inputs_of(rows[FEATURES].to_dict("records")))}


def inputs_as_trained(folder: Path, rows: pd.DataFrame) -> dict[str, torch.Tensor]:  # noqa: ARG001 - a model whose inputs depend on what it learned loads it from there
    """What this training gives to its network for raw rows: the platform holds the handler against it."""
    return network_inputs(rows)


def prepare(model: Network, rows: pd.DataFrame) -> Part:
    device = model.center.device
    return Part(
        network_inputs(rows)["inputs"].to(device), model.labels.targets(rows[LABEL].tolist()).to(device)
    )


def scale(model: Network, train: Part) -> None:
    """Take the inputs' scale from the training rows."""
    model.center.copy_(train.inputs.mean(dim=0))
    model.spread.copy_(train.inputs.std(dim=0).clamp(min=1e-6))


def evaluate(model: Network, part: Part) -> dict[str, float]:
    outputs = model(part.inputs)
    loss = float(model.labels.loss(outputs, part.targets))
    return {"loss": loss, **model.labels.metrics(outputs, part.targets)}


def learn(model: Network, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    scale(model, train)
    optimiser = torch.optim.Adam(model.parameters(), lr=chosen.learning_rate)
    fit(
        model,
        [optimiser],
        chosen,
        rows=len(train.inputs),
        loss_of=lambda rows: model.labels.loss(model(train.inputs[rows]), train.targets[rows]),
        evaluate=lambda: evaluate(model, validation),
    )


def main() -> None:
    chosen = options(HERE, __doc__)
    with training_run(chosen) as training:
        train, validation = read_parts(chosen.data, example_data.training_parts)
        model = Network(Labels.seen(train[LABEL].tolist()), hidden=chosen.hidden).to(training.device)
        learn(model, prepare(model, train), prepare(model, validation), chosen)
        model.save(training.folder)
        code = ["features.py", "labels.py", "network.py"]
        log_model(training, HERE, train[FEATURES].head(2), ANSWER, code=code)


if __name__ == "__main__":
    main()
