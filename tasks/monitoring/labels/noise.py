"""Which share of a batch's labels is wrong? From what a simple model says of its rows that has not seen them.

As confident learning does, labels are compared with class probabilities out of fold. A classifier is trained
on rows of the batches before and of this one, and says the probabilities of rows that it has not seen. They
are calibrated on the earlier rows, and moved to the shares of the batch's labels, which are judged apart.
Then the share of wrong labels is the one under which the labels are the most likely: a label is the true one,
or with that probability any other one. Rows of a new kind, which the model is unsure of, raise no suspicion
by being hard; labels that contradict what it is sure of do. `cleanlab` counts such labels instead, and counts
honest ones of hard rows among them.

Sources: Northcutt, Jiang and Chuang, Confident Learning, J. Artif. Intell. Res. 70:1373 (2021); Patrini et
    al., Making Deep Neural Networks Robust to Label Noise, CVPR 2017, for the likelihood (forward
    correction); Cox, Biometrika 45:562 (1958), for the calibration.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from tasks.contracts import LabelNoise
from tasks.monitoring.domain_classifier import Kind
from tasks.monitoring.labels.out_of_fold import SMALLEST, log_probabilities

HISTORY_ROWS, HISTORY_ROWS_WITH_TEXT = 20_000, 10_000
SHARE_OF_HISTORY = 0.5
"""A batch may have so many rows beside those of its history: more would teach the model their labels."""
FEWEST_HISTORY_ROWS = 500
FEWEST_OF_CLASS = 10
MOST_CLASSES = 20
STARTS = (0.05, 0.5, 0.9)

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


def most_history_rows(kinds: Mapping[str, Kind]) -> int:
    """How many earlier rows are learnt from: a text costs ten times what a row of a table does."""
    return HISTORY_ROWS_WITH_TEXT if "text" in kinds.values() else HISTORY_ROWS


def rows_to_judge(history_rows: int) -> int:
    """How many rows of a batch are looked at beside so many rows of its history."""
    return int(history_rows * SHARE_OF_HISTORY)


def estimate(
    history: pd.DataFrame,
    history_labels: Codes,
    batch: pd.DataFrame,
    batch_labels: Codes,
    kinds: Mapping[str, Kind],
    most_wrong: float,
) -> LabelNoise | str:
    """The share of wrong labels in a batch, or why it cannot be told.

    Args:
        history, batch: The features' columns; at most `most_history_rows` and `rows_to_judge` rows.
        history_labels, batch_labels: Class codes from 0 on.
        most_wrong: The share that `p_value` is about, in (0, 1/2).
    """
    classes = int(max(history_labels.max(initial=0), batch_labels.max(initial=0))) + 1
    if fault := _untold(history_labels, classes):
        return fault
    rows = pd.concat([history, batch], ignore_index=True)
    labels = np.concatenate([history_labels, batch_labels])
    log_odds = log_probabilities(rows, labels, classes, kinds)
    slope = _slope(log_odds[: len(history)], history_labels)
    return _most_likely(slope * log_odds[len(history) :], batch_labels, most_wrong)


def _untold(history_labels: Codes, classes: int) -> str:
    if len(history_labels) < FEWEST_HISTORY_ROWS:
        return f"{len(history_labels)} earlier rows are too few to estimate wrong labels from"
    if classes > MOST_CLASSES:
        return f"{classes} classes are too many to estimate wrong labels for"
    counts = np.bincount(history_labels, minlength=classes)
    if classes < 2 or counts.min() < FEWEST_OF_CLASS:
        return f"a label that fewer than {FEWEST_OF_CLASS} earlier rows have, or only one label at all"
    return ""


def _slope(log_odds: Numbers, labels: Codes) -> float:
    """By what the log odds have to be stretched to be calibrated; 0 where they say nothing."""

    def loss(values: Numbers) -> float:
        return -_log_likelihood(_moved(values[0] * log_odds, values[1:]), labels, 0.0)

    start = np.r_[1.0, np.zeros(log_odds.shape[1] - 1)]
    return max(0.0, float(optimize.minimize(loss, start, method="L-BFGS-B").x[0]))


def _most_likely(log_odds: Numbers, labels: Codes, most_wrong: float) -> LabelNoise:
    """The share, and the signed root of the likelihood ratio against `most_wrong` as a p-value."""
    offsets = log_odds.shape[1] - 1

    def loss(values: Numbers) -> float:
        return -_log_likelihood(_moved(log_odds, values[1:]), labels, float(values[0]))

    bounds = [(0.0, 1.0), *[(-8.0, 8.0)] * offsets]
    tried = [
        optimize.minimize(loss, np.r_[share, np.zeros(offsets)], method="L-BFGS-B", bounds=bounds)
        for share in STARTS
    ]
    best = min(tried, key=lambda one: float(one.fun))
    held = [(most_wrong, most_wrong), *bounds[1:]]
    at_most = optimize.minimize(loss, np.r_[most_wrong, best.x[1:]], method="L-BFGS-B", bounds=held)
    share = float(best.x[0])
    root = np.sign(share - most_wrong) * np.sqrt(max(0.0, 2 * float(at_most.fun - best.fun)))
    return LabelNoise(share=share, rows=len(labels), p_value=float(stats.norm.sf(root)))


def _moved(log_odds: Numbers, offsets: Numbers) -> Numbers:
    """The probabilities when the classes after the first are so much likelier, shape (rows, classes)."""
    return np.asarray(special.softmax(log_odds + np.r_[0.0, offsets], axis=1))


def _log_likelihood(probabilities: Numbers, labels: Codes, wrong: float) -> float:
    of_label = probabilities[np.arange(len(labels)), labels]
    others = (1 - of_label) / (probabilities.shape[1] - 1)
    return float(np.log(np.maximum((1 - wrong) * of_label + wrong * others, SMALLEST)).sum())
