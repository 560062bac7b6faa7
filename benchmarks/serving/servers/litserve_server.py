"""The model in LitServe: one worker, one request at a time."""

import os
import sys
from pathlib import Path
from typing import Any

import litserve

FOLDER = Path(os.environ["MODEL_FOLDER"])


class Reviews(litserve.LitAPI):
    """Text in, label out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's interface
        sys.path.insert(0, str(FOLDER))
        import torch
        from network import BagClassifier

        torch.set_num_threads(1)
        self.model = BagClassifier.load(FOLDER)

    def decode_request(self, request: dict[str, Any]) -> str:
        text: str = request["text"]
        return text

    def predict(self, text: str) -> float:
        [score] = self.model.probabilities([text])
        return float(score)

    def encode_response(self, score: float) -> dict[str, Any]:
        return {"prediction": int(score > 0.5), "score": score}


if __name__ == "__main__":
    server = litserve.LitServer(Reviews(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
