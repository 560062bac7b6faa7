"""Serve the model: a delivery in, the prediction out."""

from pathlib import Path
from typing import Any

from network import Network
from perennial_handler import BadInstance, PerennialHandler


class Handler(PerennialHandler):
    """What TorchServe loads from the archive."""

    def load(self, folder: Path) -> None:
        self.model = Network.load(folder)

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return self.model.answers(instances)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInstance(f"A feature is missing or not of its type: {error!r}.") from error
