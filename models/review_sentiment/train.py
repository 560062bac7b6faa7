"""Train the classifier: an MLflow Project's program. `mlflow run models/review_sentiment` runs it by itself.

The first column of the embedding starts as the naive-Bayes log-count ratio of each n-gram, which a linear
model then only has to correct: on 17,500 reviews that is worth more than any width. Source: Wang and Manning,
Baselines and Bigrams, ACL 2012.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import example_data
import numpy as np
import pandas as pd
import torch
from network import BagClassifier
from perennial_training import fit, log_model, options, read_parts, training_run
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

EVALUATION_ROWS = 512
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some rows: the buckets of each text, and the labels, on the model's device."""

    texts: list[np.ndarray]
    labels: torch.Tensor


def inputs_of(model: BagClassifier, rows: pd.DataFrame) -> dict[str, list[np.ndarray]]:
    """What `model.forward` is given."""
    return {"texts": [model.buckets_of(text) for text in rows["text"]]}


def inputs_as_trained(folder: Path, rows: pd.DataFrame) -> dict[str, list[np.ndarray]]:
    """What this training gives to its network for raw rows: the platform holds the handler against it."""
    return inputs_of(BagClassifier.load(folder), rows)


def prepare(model: BagClassifier, rows: pd.DataFrame) -> Part:
    labels = torch.tensor(rows["label"].to_numpy(), dtype=torch.float32, device=model.known.device)
    return Part(**inputs_of(model, rows), labels=labels)


def counts(part: Part, label: int, buckets: int) -> np.ndarray:
    """In how many texts with this label each bucket occurs."""
    chosen = [text for text, is_one in zip(part.texts, part.labels.tolist(), strict=True) if is_one == label]
    return np.bincount(np.concatenate([*chosen, np.zeros(0, dtype=np.int64)]), minlength=buckets)


def initialise(model: BagClassifier, train: Part, *, minimum_texts: int, prior: float) -> None:
    """Start from naive Bayes, and mark the buckets that occur often enough to be learnt."""
    positive, negative = (counts(train, label, model.buckets) for label in (1, 0))
    ones = float(train.labels.sum())
    ratio = np.log((positive + 1) / (ones + 2)) - np.log((negative + 1) / (len(train.texts) - ones + 2))
    with torch.no_grad():
        model.known.copy_(torch.from_numpy(positive + negative >= minimum_texts))
        model.embedding.weight.normal_(0, 1e-3)
        model.embedding.weight[:, 0] = torch.from_numpy(ratio * prior).to(model.embedding.weight)
        model.embedding.weight[~model.known] = 0
        model.linear.weight.normal_(0, 0.3)
        model.linear.weight[0, 0] = 1
        model.linear.bias.zero_()


def without_unknown(model: BagClassifier, part: Part) -> Part:
    """The same rows without the buckets that count for nothing: half of the work."""
    known = model.known.cpu().numpy()
    return Part([text[known[text]] for text in part.texts], part.labels)


def evaluate(model: BagClassifier, part: Part) -> dict[str, float]:
    starts = range(0, len(part.texts), EVALUATION_ROWS)
    odds = torch.cat([model(part.texts[start : start + EVALUATION_ROWS]) for start in starts])
    right = (odds > 0) == (part.labels > 0.5)
    return {"loss": float(cross_entropy(odds, part.labels)), "accuracy": float(right.float().mean())}


def learn(model: BagClassifier, train: Part, validation: Part, chosen: argparse.Namespace) -> None:
    initialise(model, train, minimum_texts=chosen.minimum_texts, prior=chosen.prior)
    train, validation = without_unknown(model, train), without_unknown(model, validation)
    sparse = torch.optim.SparseAdam(model.embedding.parameters(), lr=chosen.learning_rate)
    dense = torch.optim.Adam(model.linear.parameters(), lr=chosen.learning_rate)
    fit(
        model,
        [sparse, dense],
        chosen,
        rows=len(train.texts),
        loss_of=lambda rows: cross_entropy(model([train.texts[row] for row in rows]), train.labels[rows]),
        evaluate=lambda: evaluate(model, validation),
    )


def main() -> None:
    chosen = options(HERE, __doc__)
    with training_run(chosen) as training:
        train, validation = read_parts(chosen.data, example_data.training_parts)
        model = BagClassifier(buckets=chosen.buckets, dimension=chosen.dimension, ngrams=chosen.ngrams)
        model.to(training.device)
        learn(model, prepare(model, train), prepare(model, validation), chosen)
        model.save(training.folder)
        log_model(training, HERE, train[["text"]].head(2), {"prediction": "long", "score": "double"})


if __name__ == "__main__":
    main()
