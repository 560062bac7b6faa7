"""The classifier: an embedding for each hashed n-gram, summed
over a text, and a linear layer (fastText's architecture).

Source: Joulin et al., Bag of Tricks for Efficient Text Classification, EACL 2017.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from features import buckets_of
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = "weights.safetensors"
SETTINGS = "model.json"


class BagClassifier(nn.Module):
    """Scores a text by its buckets.

    A text's sum is divided by the root of the number of its known buckets, so that long texts do not shout.
    `known` marks the buckets that training has seen often enough; the others count for nothing.
    """

    def __init__(self, *, buckets: int, dimension: int, ngrams: int) -> None:
        super().__init__()
        self.buckets, self.dimension, self.ngrams = buckets, dimension, ngrams
        self.embedding = nn.EmbeddingBag(buckets, dimension, mode="sum", sparse=True)
        self.linear = nn.Linear(dimension, 1)
        self.known: Tensor
        self.register_buffer("known", torch.ones(buckets, dtype=torch.bool))

    def forward(self, texts: Sequence[np.ndarray]) -> Tensor:
        """The log-odds of label 1 for each text's buckets; shape (texts,)."""
        device = self.known.device
        lengths = torch.tensor([len(text) for text in texts])
        starts = (lengths.cumsum(0) - lengths).to(device)
        text_of = torch.repeat_interleave(torch.arange(len(texts)), lengths).to(device)
        indices = torch.from_numpy(np.concatenate(texts)).to(device)
        known = self.known[indices].float()
        known_in = torch.zeros(len(texts), device=device).index_add(0, text_of, known)
        weights = known * known_in.clamp(min=1).rsqrt()[text_of]
        summed: Tensor = self.embedding(indices, starts, per_sample_weights=weights)
        return self.linear(summed).squeeze(1)

    def buckets_of(self, text: str) -> np.ndarray:
        return buckets_of(text, buckets=self.buckets, ngrams=self.ngrams)

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """The probability of label 1 for each text."""
        return torch.sigmoid(self([self.buckets_of(text) for text in texts])).tolist()

    def save(self, folder: Path) -> None:
        """Write what serving needs: the weights, the embeddings in half precision, and the settings."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {**self.state_dict(), "embedding.weight": self.embedding.weight.detach().half()}
        save_file(weights, folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; serving may be another user
        settings = {"buckets": self.buckets, "dimension": self.dimension, "ngrams": self.ngrams}
        (folder / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "BagClassifier":
        """Read what `save` wrote; nothing is unpickled."""
        model = cls(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
        weights = load_file(folder / WEIGHTS)
        model.load_state_dict({name: weight.float() for name, weight in weights.items()})
        return model.eval()
