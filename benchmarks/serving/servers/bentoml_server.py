"""The model as a service of BentoML: `bentoml serve bentoml_server:Reviews`."""

import os
import sys
from pathlib import Path

import bentoml

FOLDER = Path(os.environ["MODEL_FOLDER"])


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Reviews:
    """One worker, without its access log and its metrics."""

    def __init__(self) -> None:
        sys.path.insert(0, str(FOLDER))
        import torch
        from network import BagClassifier

        torch.set_num_threads(1)
        self.model = BagClassifier.load(FOLDER)

    @bentoml.api
    def predict(self, text: str) -> dict[str, float]:
        [score] = self.model.probabilities([text])
        return {"prediction": int(score > 0.5), "score": score}
