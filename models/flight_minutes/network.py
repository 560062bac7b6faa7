"""The regressor: an embedding for each category and standardised numbers into a small perceptron.

Source: Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from features import CATEGORIES, NUMBERS, Vocabulary, numbers_of, places_of
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = "weights.safetensors"
SETTINGS = "model.json"


class MinutesRegressor(nn.Module):
    """Minutes of delay of flights.

    `center` and `spread` are the means and deviations of the training rows: of the numbers, and last of the
    label.
    """

    def __init__(self, vocabulary: Vocabulary, *, dimension: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.settings = {"dimension": dimension, "hidden": hidden, "dropout": dropout}
        self.embeddings = nn.ModuleList(
            nn.Embedding(len(vocabulary[name]) + 1, dimension) for name in CATEGORIES
        )
        self.layers = nn.Sequential(
            nn.Linear(len(CATEGORIES) * dimension + len(NUMBERS), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self.center: Tensor
        self.spread: Tensor
        self.register_buffer("center", torch.zeros(len(NUMBERS) + 1))
        self.register_buffer("spread", torch.ones(len(NUMBERS) + 1))

    def forward(self, places: Tensor, numbers: Tensor) -> Tensor:
        """The delay in standard deviations from the mean.

        Args:
            places: As `features.places_of` gives them; shape (flights, 7), int64.
            numbers: As `features.numbers_of` gives them; shape (flights, 8), float32.
        """
        embedded = [embedding(places[:, column]) for column, embedding in enumerate(self.embeddings)]
        scaled = (numbers - self.center[:-1]) / self.spread[:-1]
        outputs: Tensor = self.layers(torch.cat([*embedded, scaled], dim=1))
        return outputs.squeeze(1)

    @torch.inference_mode()
    def minutes(self, flights: Sequence[Mapping[str, Any]]) -> list[float]:
        """The delay of each flight at its arrival, in minutes; below zero for early ones."""
        device = self.center.device
        places = torch.from_numpy(places_of(flights, self.vocabulary)).to(device)
        numbers = torch.from_numpy(numbers_of(flights)).to(device)
        return (self(places, numbers) * self.spread[-1] + self.center[-1]).tolist()

    def save(self, folder: Path) -> None:
        """Write what serving needs."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; serving may be another user
        document = {"vocabulary": self.vocabulary, **self.settings}
        (folder / SETTINGS).write_text(json.dumps(document), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "MinutesRegressor":
        """Read what `save` wrote; nothing is unpickled."""
        model = cls(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
        model.load_state_dict(load_file(folder / WEIGHTS))
        return model.eval()
