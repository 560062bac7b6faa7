"""What the network's outputs mean: the probability of each class."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

ANSWER = {"prediction": "string", "score": "double"}


class Labels:
    """The outputs are the logits of `classes`, in their order."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self.outputs = len(self.classes)

    @classmethod
    def seen(cls, labels: Sequence[str]) -> "Labels":
        """What the labels of the training rows say."""
        return cls(sorted(set(labels)))

    @property
    def settings(self) -> dict[str, Any]:
        """What it is made from again."""
        return {"classes": self.classes}

    def targets(self, labels: Sequence[str]) -> Tensor:
        """Each label's place in `classes`; -100, which the loss leaves out, for one that was never seen."""
        places = {label: place for place, label in enumerate(self.classes)}
        return torch.tensor([places.get(label, -100) for label in labels])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """What is logged after every epoch, beside the loss."""
        return {"accuracy": float((outputs.argmax(dim=1) == targets).float().mean())}

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        answers = []
        for chances in torch.softmax(outputs.double(), dim=1).tolist():
            scores = dict(zip(self.classes, chances, strict=True))
            label = max(scores, key=scores.__getitem__)
            answers.append({"prediction": label, "score": scores[label], "scores": scores})
        return answers
