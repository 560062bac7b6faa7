"""The model as a custom predictor of KServe's SDK, by its first protocol, which costs it least."""

import os
import sys
from pathlib import Path
from typing import Any

import kserve

FOLDER = Path(os.environ["MODEL_FOLDER"])
sys.path.insert(0, str(FOLDER))

import torch  # noqa: E402
from network import BagClassifier  # noqa: E402 - a file of the archive


class Reviews(kserve.Model):
    """Text in, label out."""

    def __init__(self) -> None:
        super().__init__("reviews")
        torch.set_num_threads(1)
        self.model = BagClassifier.load(FOLDER)
        self.ready = True

    async def predict(self, payload: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        scores = self.model.probabilities([each["text"] for each in payload["instances"]])
        return {"predictions": [{"prediction": int(score > 0.5), "score": score} for score in scores]}


if __name__ == "__main__":
    server = kserve.ModelServer(
        http_port=int(os.environ["PORT"]), workers=1, enable_grpc=False, enable_latency_logging=False
    )
    server.start([Reviews()])
