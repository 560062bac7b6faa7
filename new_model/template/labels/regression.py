"""What the network's output means: a number."""

from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

ANSWER = {"prediction": "double"}


class Labels:
    """The output is the label in standard deviations `spread` from the mean `center` of the training rows."""

    outputs = 1

    def __init__(self, center: float, spread: float) -> None:
        self.center, self.spread = center, spread

    @classmethod
    def seen(cls, labels: Sequence[float]) -> "Labels":
        """What the labels of the training rows say."""
        return cls(fmean(labels), pstdev(labels) or 1.0)

    @property
    def settings(self) -> dict[str, Any]:
        """What it is made from again."""
        return {"center": self.center, "spread": self.spread}

    def targets(self, labels: Sequence[float]) -> Tensor:
        return (torch.tensor(labels, dtype=torch.float32).unsqueeze(1) - self.center) / self.spread

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return mse_loss(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """What is logged after every epoch, beside the loss."""
        return {"rmse": float(mse_loss(outputs, targets).sqrt()) * self.spread}

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        numbers = (outputs.squeeze(1) * self.spread + self.center).tolist()
        return [{"prediction": number, "score": None} for number in numbers]
