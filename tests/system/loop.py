"""The trainings that all system tests share: they are at work while the first of the tests run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tasks.spec import PipelineSpec

NEW, REGRESSION, MULTICLASS = "demo_model", "flight_minutes", "handwritten_digit"


@dataclass
class Loop:
    """The platform, its folder of models, and the training runs that these tests have started, by model."""

    platform: Platform
    airflow: Airflow
    models: Path
    first: dict[str, str] = field(default_factory=dict)
    worse: str = ""

    def train(self, model: str, **parameters: Any) -> str:
        return self.airflow.trigger(f"train_{model}", reason="a test", **parameters)

    def result(self, model: str, step: str) -> dict[str, Any]:
        return self.airflow.result(f"train_{model}", self.first[model], step)

    def predict(self, model: str) -> requests.Response:
        path = self.models / model / "pipeline.yaml"
        example = PipelineSpec.load(path if path.exists() else self.left / path.name).serving.input_example
        return self._post(f"{model}/predict", {"instances": [example]})

    def tell(self, model: str, prediction_id: str, label: Any) -> requests.Response:
        return self._post(
            f"{model}/feedback", {"feedback": [{"prediction_id": prediction_id, "label": label}]}
        )

    @property
    def left(self) -> Path:
        """Where the new model's folder lies once it was removed."""
        return self.models.parent / NEW

    def _post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{self.platform.addresses.gateway}/v1/models/{path}", json=body, timeout=30)
