"""Metrics of classes: their values, and the same over many draws of the rows at once.

The values are scikit-learn's. It takes one draw at a time, and a thousand draws of 5,000 rows took seconds,
so the draws are computed here; a test holds the two to the same values.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn import metrics as sklearn_metrics

from tasks.evaluation.answers import Answers, Codes, Numbers
from tasks.evaluation.bootstrap import Statistic, Weights, mean_of
from tasks.evaluation.calibration import calibration_error

SMALLEST = np.finfo(np.float64).eps
"""A probability is not taken to be nearer to 0 than this, or its logarithm would be infinite."""

BY_PROBABILITIES = ("log_loss", "brier", "calibration_error")
BY_SCORES = ("roc_auc", "average_precision", *BY_PROBABILITIES)


def undefined_because(name: str, truth: Codes, answers: Answers) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if not len(truth):
        return "there are no rows"
    if name not in BY_SCORES:
        return None
    if answers.scores is None:
        return "not every answer has a score"
    if not np.isfinite(answers.scores).all():
        several = "not every answer has the probabilities of the classes, which add up to 1"
        return "not every answer has a score" if answers.scores.ndim == 1 else several
    if name in BY_PROBABILITIES:
        are_shares = answers.scores.min() >= 0 and answers.scores.max() <= 1
        return None if are_shares else "the scores are no probabilities"
    return None if len(np.unique(truth)) == 2 else "all the rows have the same label"


def point(name: str, truth: Codes, answers: Answers, classes: int) -> float:
    """The metric on the rows as they are."""
    if name == "calibration_error":
        return float(calibration_error(truth, _scores(answers))(np.ones((1, len(truth))))[0])
    return float(_POINT[name](truth, answers, classes))


def statistic(name: str, truth: Codes, answers: Answers, classes: int) -> Statistic:
    """The metric over draws."""
    said = answers.predictions
    if name in {"roc_auc", "average_precision"}:
        return (_roc_auc if name == "roc_auc" else _average_precision)(truth, _scores(answers))
    if name == "brier":
        return mean_of((truth - _scores(answers)) ** 2)
    if name == "calibration_error":
        return calibration_error(truth, _scores(answers))
    if name == "log_loss":
        return mean_of(-np.log(_of_the_truth(truth, _scores(answers))))
    if name in {"f1", "precision"}:
        return _of_the_positive_class(name, truth, said)
    return _macro(name, truth, said, classes)


def _scores(answers: Answers) -> Numbers:
    if answers.scores is None:
        raise ValueError("there are no scores")
    return answers.scores


def _of_the_truth(truth: Codes, scores: Numbers) -> Numbers:
    """The probability that was given to each row's label."""
    if scores.ndim == 1:
        scores = np.column_stack([1 - scores, scores])
    return np.clip(scores[np.arange(len(truth)), truth], SMALLEST, 1 - SMALLEST)


def _of_the_positive_class(name: str, truth: Codes, said: Codes) -> Statistic:
    columns = np.column_stack([truth == 1, said == 1, (truth == 1) & (said == 1)]).astype(np.float64)

    def over(weights: Weights) -> NDArray[np.float64]:
        positive, called, both = (weights @ columns).T
        ratio = 2 * both / (positive + called) if name == "f1" else both / called
        return np.asarray(np.nan_to_num(ratio))

    return over


def _macro(name: str, truth: Codes, said: Codes, classes: int) -> Statistic:
    """The mean over the classes that a draw has, of each class's recall or F1."""
    parts = [_one_hot(codes, classes) for codes in (truth, said, np.where(truth == said, truth, -1))]

    def over(weights: Weights) -> NDArray[np.float64]:
        own, called, both = (part @ weights.T for part in parts)
        each = both / own if name == "balanced_accuracy" else 2 * both / (own + called)
        return np.asarray(np.nanmean(each, axis=0))

    return over


def _one_hot(codes: Codes, classes: int) -> sparse.csr_array:
    rows = np.flatnonzero(codes >= 0)
    return sparse.csr_array((np.ones(len(rows)), (codes[rows], rows)), shape=(classes, len(codes)))


def _roc_auc(truth: Codes, scores: Numbers) -> Statistic:
    """The share of pairs in which the positive row has the larger score, equal scores counting half: the
    Mann-Whitney statistic over the number of pairs.
    """
    negative, positive = np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)
    negative = negative[np.argsort(scores[negative])]
    below = np.searchsorted(scores[negative], scores[positive], side="left")
    until = np.searchsorted(scores[negative], scores[positive], side="right")

    def over(weights: Weights) -> NDArray[np.float64]:
        own, others = np.take(weights, positive, axis=1), _running_counts(weights, negative)
        smaller = np.take(others, below, axis=1) + np.take(others, until, axis=1)
        pairs = own.sum(axis=1) * others[:, -1]
        return np.asarray(np.einsum("ij,ij->i", own, smaller) / 2 / pairs)

    return over


def _average_precision(truth: Codes, scores: Numbers) -> Statistic:
    """The mean over the positive rows of the precision where the threshold is the row's score."""
    order = np.argsort(-scores)
    negative, positive = order[truth[order] == 0], order[truth[order] == 1]
    ends = [np.searchsorted(-scores[rows], -scores[positive], side="right") for rows in (positive, negative)]

    def over(weights: Weights) -> NDArray[np.float64]:
        own = np.take(weights, positive, axis=1)
        true, false = (
            np.take(_running_counts(weights, rows), end, axis=1)
            for rows, end in zip((positive, negative), ends, strict=True)
        )
        precision = true / np.maximum(true + false, 1)
        return np.asarray(np.einsum("ij,ij->i", own, precision) / own.sum(axis=1))

    return over


def _running_counts(weights: Weights, rows: NDArray[np.intp]) -> Weights:
    """How often the first 0, 1, 2, ... of the rows are in each draw, shape (draws, rows + 1)."""
    found = np.zeros((len(weights), len(rows) + 1))
    np.cumsum(np.take(weights, rows, axis=1), axis=1, out=found[:, 1:])
    return found


def _log_loss(truth: Codes, answers: Answers, classes: int) -> float:
    return float(sklearn_metrics.log_loss(truth, answers.scores, labels=np.arange(classes)))


def _balanced_accuracy(truth: Codes, answers: Answers, _classes: int) -> float:
    there = np.unique(truth)
    return float(
        sklearn_metrics.recall_score(
            truth, answers.predictions, labels=there, average="macro", zero_division=0.0
        )
    )


def _macro_f1(truth: Codes, answers: Answers, classes: int) -> float:
    every = np.arange(classes)
    return float(
        sklearn_metrics.f1_score(
            truth, answers.predictions, labels=every, average="macro", zero_division=np.nan
        )
    )


def _of_class_1(score: Callable[..., float]) -> Callable[[Codes, Answers, int], float]:
    return lambda truth, answers, _: score(
        truth, answers.predictions, labels=[1], average="macro", zero_division=0.0
    )


_POINT: dict[str, Callable[[Codes, Answers, int], float]] = {
    "balanced_accuracy": _balanced_accuracy,
    "f1": _of_class_1(sklearn_metrics.f1_score),
    "macro_f1": _macro_f1,
    "precision": _of_class_1(sklearn_metrics.precision_score),
    "roc_auc": lambda truth, answers, _: sklearn_metrics.roc_auc_score(truth, answers.scores),
    "average_precision": lambda truth, answers, _: sklearn_metrics.average_precision_score(
        truth, answers.scores
    ),
    "log_loss": _log_loss,
    "brier": lambda truth, answers, _: sklearn_metrics.brier_score_loss(truth, answers.scores, labels=[0, 1]),
}
