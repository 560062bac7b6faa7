"""Metrics of a classifier: scikit-learn's for one set of rows, and the same over many draws of rows at once.

scikit-learn takes one draw at a time, and a thousand draws of 5,000 rows took seconds; a test holds the two
to the same values.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from tasks.evaluation.answers import Answers, Labels, Numbers

BY_PREDICTION = frozenset({"accuracy", "balanced_accuracy", "f1", "macro_f1", "precision", "recall"})
OF_TWO = frozenset({"f1", "precision", "recall"})
BY_RANK = frozenset({"roc_auc", "average_precision"})
BY_SCORE = BY_RANK | {"brier"}
SMALLEST = float(np.finfo(np.float64).eps)


def undefined_because(name: str, truth: Labels, answers: Answers, classes: int) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if not len(truth):
        return "there are no rows"
    if classes != 2 and (name in OF_TWO or name in BY_SCORE):
        return f"it takes two classes, and there are {classes}"
    if name in BY_PREDICTION:
        return None
    if name == "log_loss" and classes != 2:
        sound = _are_probabilities(answers.probabilities)
        return None if sound else "not every answer has a probability of each class"
    return _undefined_scores(name, truth, answers.scores)


def _undefined_scores(name: str, truth: Labels, scores: Numbers | None) -> str | None:
    if scores is None or not np.isfinite(scores).all():
        return "not every answer has a score"
    if name in BY_RANK:
        return None if len(np.unique(truth)) == 2 else "all the rows have the same label"
    return None if _are_probabilities(scores) else "the scores are no probabilities"


def point(name: str, truth: Labels, answers: Answers, classes: int) -> float:
    """A metric that is defined, on these rows."""
    return float(_POINT[name](truth, answers, classes))


def columns(name: str, truth: Labels, answers: Answers) -> tuple[Labels, NDArray[Any]]:
    """The labels, and what of the answers a metric is computed from: one
    column, so that rows can be drawn.
    """
    if name in BY_PREDICTION:
        return truth, answers.predictions
    if name == "log_loss":
        return truth, _of_the_truth(truth, answers)
    return truth, _known(answers.scores)


def over_draws(name: str, classes: int, truth: Any, answer: Any, axis: int) -> Any:
    """The metric over many draws; `truth` and `answer` hold one draw a row."""
    if name in _OVER_DRAWS:
        return _OVER_DRAWS[name](truth, answer, axis)
    if name in OF_TWO:
        return np.nan_to_num(_of_class(name, truth == 1, answer == 1, axis))
    each = np.stack([_of_class(name, truth == code, answer == code, axis) for code in range(classes)])
    return np.nanmean(each, axis=0)


def recalls(truth: Labels, predictions: Labels, classes: int) -> list[tuple[int, int, int]]:
    """For each class that there is: its code, its rows, and how many of them were found."""
    counted = ((code, truth == code) for code in range(classes))
    return [
        (code, int(its.sum()), int((predictions[its] == code).sum())) for code, its in counted if its.any()
    ]


def _are_probabilities(values: Numbers | None) -> bool:
    return values is not None and bool(np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 1)


def _of_the_truth(truth: Labels, answers: Answers) -> Numbers:
    """The probability that each row's true class was given."""
    if answers.probabilities is not None:
        return answers.probabilities[np.arange(len(truth)), truth]
    scores = _known(answers.scores)
    return np.where(truth == 1, scores, 1 - scores)


def _known(scores: Numbers | None) -> Numbers:
    if scores is None:
        raise ValueError(
            "A metric was asked for that the answers do not define: ask `undefined_because` first."
        )
    return scores


def _of_class(name: str, is_it: Any, said: Any, axis: int) -> Any:
    both = (is_it & said).sum(axis=axis)
    if name in {"balanced_accuracy", "recall"}:
        return both / is_it.sum(axis=axis)
    if name == "precision":
        return both / said.sum(axis=axis)
    return 2 * both / (is_it.sum(axis=axis) + said.sum(axis=axis))


def _roc_auc(truth: Any, scores: Any, axis: int) -> Any:
    """By the ranks of the positive rows: the Mann-Whitney statistic over the number of pairs."""
    positive = truth.sum(axis=axis)
    negative = truth.shape[axis] - positive
    ranks = (stats.rankdata(scores, axis=axis) * truth).sum(axis=axis)
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def _average_precision(truth: Any, scores: Any, axis: int) -> Any:
    """The precision at each distinct score, weighted by the recall that it adds."""
    truth, scores = np.moveaxis(truth, axis, -1), np.moveaxis(scores, axis, -1)
    order = np.argsort(-scores, axis=-1, kind="stable")
    hits = np.cumsum(np.take_along_axis(truth, order, -1), axis=-1)
    ordered = np.take_along_axis(scores, order, -1)
    last = np.ones(ordered.shape, dtype=np.bool_)  # of the rows with one score, which are one threshold
    last[..., :-1] = ordered[..., :-1] != ordered[..., 1:]
    known = np.maximum.accumulate(np.where(last, hits, 0), axis=-1)
    before = np.concatenate([np.zeros((*known.shape[:-1], 1)), known[..., :-1]], axis=-1)
    precision = hits / np.arange(1, hits.shape[-1] + 1)
    return np.where(last, (hits - before) * precision, 0).sum(axis=-1) / hits[..., -1]


def _balanced_accuracy(truth: Labels, answers: Answers, _classes: int) -> float:
    there = np.unique(truth)
    return float(
        reference.recall_score(truth, answers.predictions, labels=there, average="macro", zero_division=0.0)
    )


def _macro_f1(truth: Labels, answers: Answers, classes: int) -> float:
    every = list(range(classes))
    return float(
        reference.f1_score(truth, answers.predictions, labels=every, average="macro", zero_division=np.nan)
    )


def _of_positive(score: Callable[..., Any]) -> Callable[[Labels, Answers, int], float]:
    return lambda truth, answers, _: score(
        truth, answers.predictions, labels=[1], average="macro", zero_division=0.0
    )


def _log_loss(truth: Labels, answers: Answers, classes: int) -> float:
    given = answers.scores if classes == 2 else answers.probabilities
    return float(reference.log_loss(truth, given, labels=list(range(classes))))


_POINT: dict[str, Callable[[Labels, Answers, int], float]] = {
    "accuracy": lambda truth, answers, _: reference.accuracy_score(truth, answers.predictions),
    "balanced_accuracy": _balanced_accuracy,
    "f1": _of_positive(reference.f1_score),
    "macro_f1": _macro_f1,
    "precision": _of_positive(reference.precision_score),
    "recall": _of_positive(reference.recall_score),
    "roc_auc": lambda truth, answers, _: reference.roc_auc_score(truth, answers.scores),
    "average_precision": lambda truth, answers, _: reference.average_precision_score(truth, answers.scores),
    "log_loss": _log_loss,
    "brier": lambda truth, answers, _: reference.brier_score_loss(truth, answers.scores),
}

_OVER_DRAWS: dict[str, Callable[[Any, Any, int], Any]] = {
    "accuracy": lambda truth, answer, axis: np.mean(truth == answer, axis=axis),
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": lambda _, given, axis: -np.mean(np.log(np.clip(given, SMALLEST, 1 - SMALLEST)), axis=axis),
    "brier": lambda truth, scores, axis: np.mean((scores - truth) ** 2, axis=axis),
}
