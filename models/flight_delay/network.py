"""The classifier: embeddings of hashed categories and a few numbers into a small perceptron.

Source: Guo and Berkhahn, Entity Embeddings of Categorical Variables, arXiv:1604.06737 (2016).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from features import CATEGORIES, NUMBERS, categories_of, numbers_of
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = "weights.safetensors"
SETTINGS = "model.json"


class DelayClassifier(nn.Module):
    """Scores flights. `center` and `spread` are the training rows' means and deviations of the numbers."""

    def __init__(self, *, buckets: int, dimension: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.settings = {"buckets": buckets, "dimension": dimension, "hidden": hidden, "dropout": dropout}
        self.buckets = buckets
        self.embedding = nn.Embedding(buckets, dimension)
        nn.init.normal_(self.embedding.weight, std=0.1)
        width = len(CATEGORIES) * dimension + len(NUMBERS)
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden // 2 or 1),
            nn.ReLU(),
            nn.Linear(hidden // 2 or 1, 1),
        )
        self.center: Tensor
        self.spread: Tensor
        self.register_buffer("center", torch.zeros(len(NUMBERS)))
        self.register_buffer("spread", torch.ones(len(NUMBERS)))

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        """The log-odds of being late.

        Args:
            categories: Buckets; shape (flights, 7), int64.
            numbers: As `features.numbers_of` gives them; shape (flights, 3), float32.
        """
        scaled = (numbers - self.center) / self.spread
        inputs = torch.cat([self.embedding(categories).flatten(start_dim=1), scaled], dim=1)
        odds: Tensor = self.layers(inputs)
        return odds.squeeze(1)

    @torch.inference_mode()
    def probabilities(self, flights: Sequence[Mapping[str, Any]]) -> list[float]:
        """The probability of being late for each flight."""
        device = self.center.device
        categories = torch.from_numpy(categories_of(flights, buckets=self.buckets)).to(device)
        numbers = torch.from_numpy(numbers_of(flights)).to(device)
        return torch.sigmoid(self(categories, numbers)).tolist()

    def save(self, folder: Path) -> None:
        """Write what serving needs."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; serving may be another user
        (folder / SETTINGS).write_text(json.dumps(self.settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "DelayClassifier":
        """Read what `save` wrote; nothing is unpickled."""
        model = cls(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
        model.load_state_dict(load_file(folder / WEIGHTS))
        return model.eval()
