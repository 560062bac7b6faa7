"""What the champion's own embeddings would add to the words that the domain classifier sees.

    .perennial/envs/model-review_sentiment/bin/python benchmarks/drift_text.py [--tries 20]

The reference are reviews of IMDB that no training saw; a window is others of them, some of which are snippets
of Rotten Tomatoes instead. All are cut to the same number of words, so that no more than what is said
differs. Each way of seeing a text is given the same rows: *words* as the check sees them, *embedding* the
champion's (trained on the same site's reviews with the shipped parameters), *both* side by side. A window
counts as found where its out-of-fold ROC AUC is above all of the same way's ordinary windows.
"""

import json
import os
import sys
import tempfile
from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
import yaml
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tasks.monitoring.domain_classifier import Kind, text_matrix
from tasks.settings import PROJECT

sys.path[:0] = [str(PROJECT / "models" / "review_sentiment"), str(PROJECT / "models")]

WORDS = 20
TRAINED, REFERENCE = 12_000, 2_000
SIZES = (200, 1_000)
SHARES = (0.0, 0.1, 0.3)
KINDS: dict[str, Kind] = {"text": "text"}


def cut(texts: list[str]) -> list[str]:
    """The first words of each text."""
    return [" ".join(text.split()[:WORDS]) for text in texts]


def champion(rows: pd.DataFrame) -> Any:
    """The shipped classifier, trained on some rows."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{tempfile.mkdtemp()}/mlflow.db"
    network, train = import_module("network"), import_module("train")
    declared = yaml.safe_load((PROJECT / "models" / "review_sentiment" / "MLproject").read_text())
    parameters = declared["entry_points"]["main"]["parameters"]
    chosen = Namespace(**{name.replace("-", "_"): each["default"] for name, each in parameters.items()})
    model = network.BagClassifier(buckets=chosen.buckets, dimension=chosen.dimension, ngrams=chosen.ngrams)
    middle = len(rows) * 3 // 4
    train.learn(model, train.prepare(model, rows[:middle]), train.prepare(model, rows[middle:]), chosen)
    return model.eval()


def embedded(model: Any, texts: list[str]) -> np.ndarray:
    """What the last layer is given; shape (texts, dimension)."""
    import torch

    seen: list[torch.Tensor] = []
    hook = model.linear.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model.probabilities(texts)
    hook.remove()
    return np.asarray(torch.cat(seen).numpy())


def auc(matrix: Any, label: np.ndarray) -> float:
    """The out-of-fold ROC AUC of a linear domain classifier."""
    model = LogisticRegression(C=1.0, solver="liblinear", class_weight="balanced", random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    odds = cross_val_predict(model, matrix, label, cv=folds, method="decision_function")
    return float(roc_auc_score(label, odds))


def seen_as(model: Any, window: list[str], reference: list[str]) -> dict[str, float]:
    """How well each way of seeing texts tells the window from the reference."""
    texts = [*window, *reference]
    label = np.repeat([1, 0], [len(window), len(reference)])
    words = text_matrix(pd.DataFrame({"text": texts}), KINDS)
    own = embedded(model, texts)
    own = (own - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-12)
    both = sparse.hstack([words, sparse.csr_matrix(own / np.sqrt(own.shape[1]))], format="csr")
    return {"words": auc(words, label), "embedding": auc(own, label), "both": auc(both, label)}


def main(tries: Annotated[int, typer.Option(help="Windows of each size and share.")] = 20) -> None:
    """Measure, and print one line of JSON for each size and share."""
    example = import_module("example_data")
    site = pd.DataFrame(example.rows("imdb"))
    others = cut([str(row["text"]) for row in example.rows("rotten_tomatoes")])
    model = champion(site[:TRAINED])
    known = cut(site["text"][TRAINED : TRAINED + REFERENCE].tolist())
    rest = cut(site["text"][TRAINED + REFERENCE :].tolist())
    rng = np.random.default_rng(0)
    for size in SIZES:
        ordinary: dict[str, float] = {}
        for share in SHARES:
            found: dict[str, list[float]] = {}
            for _ in range(tries):
                count = round(size * share)
                window = [*rng.choice(rest, size - count, replace=False), *rng.choice(others, count)]
                for name, value in seen_as(model, list(map(str, window)), known).items():
                    found.setdefault(name, []).append(value)
            if not share:
                ordinary = {name: max(values) for name, values in found.items()}
            line = {
                name: {
                    "mean_auc": round(float(np.mean(values)), 3),
                    "found": round(float(np.mean(np.array(values) > ordinary[name])), 2),
                }
                for name, values in found.items()
            }
            typer.echo(json.dumps({"rows": size, "share_of_another_site": share} | line))


if __name__ == "__main__":
    typer.run(main)
