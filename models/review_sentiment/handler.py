"""Serve the classifier: text in, label and its probability out."""

from pathlib import Path
from typing import Any

from network import BagClassifier
from perennial_handler import BadInstance, PerennialHandler


class Handler(PerennialHandler):
    """What TorchServe loads from the archive."""

    def load(self, folder: Path) -> None:
        self.model = BagClassifier.load(folder)

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        scores = self.model.probabilities([text_of(instance) for instance in instances])
        return [{"prediction": int(score > 0.5), "score": score} for score in scores]


def text_of(instance: dict[str, Any]) -> str:
    text = instance.get("text")
    if not isinstance(text, str):
        raise BadInstance('The instance has no string "text". Send {"text": "..."}.')
    return text
