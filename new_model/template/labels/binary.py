"""What the network's output means: one of two labels, 0 or 1, and the probability of 1."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

ANSWER = {"prediction": "long", "score": "double"}


class Labels:
    """The output is the log-odds of 1."""

    outputs = 1

    @classmethod
    def seen(cls, _labels: Sequence[int]) -> "Labels":
        """What the labels of the training rows say."""
        return cls()

    @property
    def settings(self) -> dict[str, Any]:
        """What it is made from again."""
        return {}

    def targets(self, labels: Sequence[int]) -> Tensor:
        return torch.tensor(labels, dtype=torch.float32).unsqueeze(1)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """What is logged after every epoch, beside the loss."""
        return {"accuracy": float(((outputs > 0) == (targets > 0.5)).float().mean())}

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        scores = torch.sigmoid(outputs).squeeze(1).tolist()
        return [{"prediction": int(score > 0.5), "score": score} for score in scores]
