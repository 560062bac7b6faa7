"""Serve the classifier: pixels in, the digit and the probability of each out."""

from pathlib import Path
from typing import Any

from network import DigitClassifier, most_likely
from perennial_handler import BadInstance, PerennialHandler


class Handler(PerennialHandler):
    """What TorchServe loads from the archive."""

    def load(self, folder: Path) -> None:
        self.model = DigitClassifier.load(folder)

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            listed = self.model.probabilities([instance["pixels"] for instance in instances])
        except (KeyError, TypeError, ValueError) as error:
            raise BadInstance(
                'The instance has no "pixels" of 64 characters, each 0 to 9 or a to g.'
            ) from error
        digits = [most_likely(chances) for chances in listed]
        return [
            {"prediction": digit, "score": chances[digit], "scores": chances}
            for digit, chances in zip(digits, listed, strict=True)
        ]
