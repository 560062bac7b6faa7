"""The classifier: two convolutions and a linear layer over a small image.

Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 86:2278 (1998).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from features import images_of
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = "weights.safetensors"
SETTINGS = "model.json"
DIGITS = [str(digit) for digit in range(10)]


class DigitClassifier(nn.Module):
    """Reads the digits 0 to 9."""

    def __init__(self, *, channels: int, dropout: float) -> None:
        super().__init__()
        self.settings = {"channels": channels, "dropout": dropout}
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * channels * 16, len(DIGITS)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """The logits of `DIGITS`, shape (digits, 10), for images as `features.images_of` gives them."""
        logits: Tensor = self.layers(images)
        return logits

    @torch.inference_mode()
    def probabilities(self, pixels: Sequence[Any]) -> list[dict[str, float]]:
        """The probability of each digit for each image."""
        images = torch.from_numpy(images_of(pixels)).to(self.layers[0].weight.device)
        chances = torch.softmax(self(images).double(), dim=1).tolist()
        return [dict(zip(DIGITS, row, strict=True)) for row in chances]

    def save(self, folder: Path) -> None:
        """Write what serving needs."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; serving may be another user
        (folder / SETTINGS).write_text(json.dumps(self.settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "DigitClassifier":
        """Read what `save` wrote; nothing is unpickled."""
        model = cls(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
        model.load_state_dict(load_file(folder / WEIGHTS))
        return model.eval()


def most_likely(chances: dict[str, float]) -> str:
    return max(chances, key=chances.__getitem__)
