"""The model in FastAPI under uvicorn, as its documentation has it: models of pydantic in and out."""

import os
import sys
from pathlib import Path

FOLDER = Path(os.environ["MODEL_FOLDER"])
sys.path.insert(0, str(FOLDER))

import torch  # noqa: E402
import uvicorn  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from network import BagClassifier  # noqa: E402 - a file of the archive
from pydantic import BaseModel  # noqa: E402

torch.set_num_threads(1)
model = BagClassifier.load(FOLDER)
app = FastAPI()


class Instance(BaseModel):
    text: str


class Answer(BaseModel):
    prediction: int
    score: float


@app.post("/predict")
async def predict(instance: Instance) -> Answer:
    """In the event loop: a model this quick is slower in a thread."""
    [score] = model.probabilities([instance.text])
    return Answer(prediction=int(score > 0.5), score=score)


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
