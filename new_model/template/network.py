"""The network: a small perceptron whose outputs `labels.py` turns into answers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from features import WIDTH, inputs_of
from labels import Labels
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = "weights.safetensors"
SETTINGS = "model.json"


class Network(nn.Module):
    """`center` and `spread` are the training rows' means and deviations of the inputs."""

    def __init__(self, labels: Labels, *, hidden: int) -> None:
        super().__init__()
        self.labels, self.hidden = labels, hidden
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, labels.outputs),
        )
        self.center: Tensor
        self.spread: Tensor
        self.register_buffer("center", torch.zeros(WIDTH))
        self.register_buffer("spread", torch.ones(WIDTH))

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs, shape (rows, labels.outputs), for inputs as `features.inputs_of` gives them."""
        outputs: Tensor = self.layers((inputs - self.center) / self.spread)
        return outputs

    @torch.inference_mode()
    def answers(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What the service answers to each row."""
        return self.labels.answers(self(torch.from_numpy(inputs_of(rows)).to(self.center.device)))

    def save(self, folder: Path) -> None:
        """Write what serving needs."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; serving may be another user
        settings = {"hidden": self.hidden, "labels": self.labels.settings}
        (folder / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Network":
        """Read what `save` wrote; nothing is unpickled."""
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        model = cls(Labels(**settings["labels"]), hidden=settings["hidden"])
        model.load_state_dict(load_file(folder / WEIGHTS))
        return model.eval()
