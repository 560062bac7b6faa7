"""What a simple model says of the labels of rows that it was not trained on, each in its turn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.monitoring.domain_classifier import Kind, number_table, table_classifier, text_matrix

FOLDS = 5
SEED = 20_250_101
SMALLEST = 1e-9

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


def log_probabilities(rows: pd.DataFrame, labels: Codes, classes: int, kinds: Mapping[str, Kind]) -> Numbers:
    """The log of each class's probability, shape (rows, classes); of text and table together their sum."""
    text, table = text_matrix(rows, kinds), number_table(rows, kinds)
    folds = _folds(labels)
    found = np.zeros((len(rows), classes))
    for fold in range(FOLDS):
        learn, judge = folds != fold, folds == fold
        if text is not None:
            found[judge] += _of_fold(_text_classifier(), text, labels, learn, judge, classes)
        if table is not None:
            found[judge] += _of_fold(table_classifier(kinds), table, labels, learn, judge, classes)
    return found


def _folds(labels: Codes) -> Codes:
    """Each row's fold, with the same shares of labels in each."""
    rng = np.random.default_rng(SEED)
    order = np.lexsort([rng.random(len(labels)), labels])
    folds = np.empty(len(labels), dtype=np.int64)
    folds[order] = np.arange(len(labels)) % FOLDS
    return folds


def _of_fold(
    model: Any, values: Any, labels: Codes, learn: NDArray[np.bool_], judge: NDArray[np.bool_], classes: int
) -> Numbers:
    model.fit(values[learn], labels[learn])
    found = np.full((int(judge.sum()), classes), np.log(SMALLEST))
    found[:, model.classes_] = np.log(np.maximum(model.predict_proba(values[judge]), SMALLEST))
    return found


def _text_classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=3.0, max_iter=200, random_state=SEED)
