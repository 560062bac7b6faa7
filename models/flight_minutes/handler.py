"""Serve the regressor: a scheduled flight and the weather of its hour in, minutes of delay out."""

from pathlib import Path
from typing import Any

from network import MinutesRegressor
from perennial_handler import BadInstance, PerennialHandler


class Handler(PerennialHandler):
    """What TorchServe loads from the archive."""

    def load(self, folder: Path) -> None:
        self.model = MinutesRegressor.load(folder)

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            delays = self.model.minutes(instances)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInstance(f"A feature is missing or not of its type: {error!r}.") from error
        return [{"prediction": delay, "score": None} for delay in delays]
