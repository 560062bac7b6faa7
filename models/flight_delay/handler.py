"""Serve the classifier: a scheduled flight in, late or not and the probability of late out."""

from pathlib import Path
from typing import Any

from network import DelayClassifier
from perennial_handler import BadInstance, PerennialHandler


class Handler(PerennialHandler):
    """What TorchServe loads from the archive."""

    def load(self, folder: Path) -> None:
        self.model = DelayClassifier.load(folder)

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            scores = self.model.probabilities(instances)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInstance(f"A feature is missing or not of its type: {error!r}.") from error
        return [{"prediction": int(score > 0.5), "score": score} for score in scores]
