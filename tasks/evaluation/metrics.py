"""Metrics of a classifier on the frozen rows, each with a
95 % interval, and the paired difference of two classifiers.

Point values are scikit-learn's, intervals and tests SciPy's. A metric that the rows or the answers do not
define (one class only, no scores) is left out, never NaN.

Sources: Wilson's interval for accuracy (Brown, Cai and DasGupta, Statistical Science 16:101, 2001); the
percentile bootstrap for the others, and on identical rows for differences (Efron and Tibshirani, 1993); one
added disagreement each way, so that few of them do not pass for certainty (Bonett and Price, J. Educ. Behav.
Stat. 37:479, 2012); McNemar's exact test.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn_metrics

from tasks.contracts import Metric, PairedDifference

CONFIDENCE = 0.95
SEED = 20_250_101
MOST_RESAMPLES = 1000
FEWEST_RESAMPLES = 200
DRAWN_VALUES = 5_000_000

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]
Resampled = Callable[..., Any]


@dataclass(frozen=True)
class Answers:
    """What a model answered to each row.

    Attributes:
        predictions: Class codes, shape (rows,); -1 for what is no label (also a row that the handler failed
            on).
        scores: The probability of the positive class (code 1 of two), shape (rows,); None where there is
            none.
    """

    predictions: Codes
    scores: Numbers | None

    def where(self, rows: NDArray[np.bool_]) -> "Answers":
        return Answers(self.predictions[rows], None if self.scores is None else self.scores[rows])


def classes_of(*labels: Sequence[Any]) -> tuple[Any, ...]:
    """The distinct labels in order.

    Of two, the second (1, true, the later in the alphabet) is the positive class.
    """
    distinct = set().union(*labels)
    try:
        return tuple(sorted(distinct))
    except TypeError:
        return tuple(sorted(distinct, key=lambda label: (type(label).__name__, str(label))))


def encode(values: Sequence[Any], classes: Sequence[Any]) -> Codes:
    """Each value's place in `classes`; -1 for a value that is none of them."""
    codes = {label: code for code, label in enumerate(classes)}
    return np.array([codes.get(value, -1) if _is_hashable(value) else -1 for value in values], dtype=np.int64)


def measure(name: str, truth: Codes, answers: Answers, classes: int) -> Metric | None:
    """One metric with its interval; None where it is not defined.

    Args:
        name: One of `NAMES`.
        truth: The labels' codes, shape (rows,).
        classes: How many classes there are, in all the data.
    """
    if undefined_because(name, truth, answers, classes) is not None:
        return None
    value = _POINT[name](truth, answers, classes)
    if name == "accuracy":
        right = int((truth == answers.predictions).sum())
        interval = stats.binomtest(right, len(truth)).proportion_ci(CONFIDENCE, method="wilson")
        low, high = float(interval.low), float(interval.high)
    else:
        low, high = _bootstrap(
            lambda *data, axis: _over(name, classes, data, axis), _data(name, truth, answers)
        )
    return (
        Metric(name=name, value=value, low=low, high=high) if np.isfinite([value, low, high]).all() else None
    )


def measure_all(truth: Codes, answers: Answers, classes: int) -> tuple[Metric, ...]:
    """Every metric that is defined."""
    found = (measure(name, truth, answers, classes) for name in NAMES)
    return tuple(metric for metric in found if metric is not None)


def undefined_because(name: str, truth: Codes, answers: Answers, classes: int) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if name in {"accuracy", "balanced_accuracy", "f1"}:
        return None if len(truth) else "there are no rows"
    if classes != 2:
        return f"it takes two classes, and there are {classes}"
    if answers.scores is None or not np.isfinite(answers.scores).all():
        return "not every answer has a score"
    if name == "roc_auc":
        return None if len(np.unique(truth)) == 2 else "all the rows have the same label"
    return (
        None
        if len(truth) and 0 <= answers.scores.min() <= answers.scores.max() <= 1
        else "the scores are no probabilities"
    )


def difference(
    name: str,
    truth: Codes,
    candidate: Answers,
    champion: Answers,
    classes: int,
    slice_value: str | None = None,
) -> PairedDifference | None:
    """Candidate minus champion on the same rows, with a paired
    interval; None where the metric is not defined for both.
    """
    pair = (candidate, champion)
    if any(undefined_because(name, truth, answers, classes) for answers in pair):
        return None
    first, second = (_POINT[name](truth, answers, classes) for answers in pair)
    p_value = None
    if name == "accuracy":
        right = [(truth == answers.predictions).astype(np.int8) for answers in pair]
        gained = right[0] - right[1]
        low, high = _bootstrap(np.mean, (np.concatenate([gained, np.array([1, -1], dtype=np.int8)]),))
        p_value = mcnemar(int((gained == 1).sum()), int((gained == -1).sum()))
    else:
        columns = tuple(_data(name, truth, answers)[1] for answers in pair)
        low, high = _bootstrap(
            lambda y, a, b, axis: _over(name, classes, (y, a), axis) - _over(name, classes, (y, b), axis),
            (truth, *columns),
        )
    if not np.isfinite([first, second, low, high]).all():
        return None
    return PairedDifference(
        slice_value=slice_value,
        rows=len(truth),
        difference=first - second,
        low=low,
        high=high,
        p_value=p_value,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact p-value that two models are equally often
    right, from the rows on which only one of them is.
    """
    disagreements = only_first + only_second
    return float(stats.binomtest(only_first, disagreements).pvalue) if disagreements else 1.0


def _bootstrap(statistic: Resampled, data: tuple[NDArray[Any], ...]) -> tuple[float, float]:
    """The percentile interval of a statistic over rows
    drawn together; NaN where some draws leave it undefined.
    """
    rows = len(data[0])
    resamples = int(np.clip(DRAWN_VALUES // max(rows, 1), FEWEST_RESAMPLES, MOST_RESAMPLES))
    if rows < 2:
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        # A draw without one of the classes divides by zero: its NaN is what we look at.
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            data,
            statistic,
            paired=True,
            vectorized=True,
            method="percentile",
            confidence_level=CONFIDENCE,
            n_resamples=resamples,
            batch=max(1, DRAWN_VALUES // (10 * rows)),
            rng=np.random.default_rng(SEED),
        )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _data(name: str, truth: Codes, answers: Answers) -> tuple[NDArray[Any], NDArray[Any]]:
    return truth, answers.scores if name in {
        "roc_auc",
        "log_loss",
    } and answers.scores is not None else answers.predictions


def _over(name: str, classes: int, data: tuple[Any, ...], axis: int) -> Any:
    """The metric over many draws at once; `data` is (truth, answers), each with one draw a row.

    scikit-learn takes one draw at a time, and a thousand draws of 5,000 rows took seconds; a test holds the
    two to the same values.
    """
    truth, answer = data
    if name == "accuracy":
        return np.mean(truth == answer, axis=axis)
    if name == "roc_auc":
        return _roc_auc(truth, answer, axis)
    if name == "log_loss":
        chance = np.clip(answer, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
        return -np.mean(np.where(truth == 1, np.log(chance), np.log1p(-chance)), axis=axis)
    judged = [1] if name == "f1" and classes == 2 else range(classes)
    each = np.stack([_of_class(name, truth == code, answer == code, axis) for code in judged])
    return np.nanmean(each, axis=0) if name != "f1" or classes != 2 else np.nan_to_num(each[0])


def _of_class(name: str, is_it: Any, said: Any, axis: int) -> Any:
    both = (is_it & said).sum(axis=axis)
    if name == "balanced_accuracy":
        return both / is_it.sum(axis=axis)
    return 2 * both / (is_it.sum(axis=axis) + said.sum(axis=axis))


def _roc_auc(truth: Any, scores: Any, axis: int) -> Any:
    """By the ranks of the positive rows: the Mann-Whitney statistic over the number of pairs."""
    positive = truth.sum(axis=axis)
    negative = truth.shape[axis] - positive
    ranks = (stats.rankdata(scores, axis=axis) * truth).sum(axis=axis)
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def _f1(truth: Codes, answers: Answers, classes: int) -> float:
    if classes == 2:
        return float(
            sklearn_metrics.f1_score(
                truth, answers.predictions, labels=[1], average="macro", zero_division=0.0
            )
        )
    every = list(range(classes))
    return float(
        sklearn_metrics.f1_score(
            truth, answers.predictions, labels=every, average="macro", zero_division=np.nan
        )
    )


def _balanced_accuracy(truth: Codes, answers: Answers, _classes: int) -> float:
    there = np.unique(truth)
    return float(
        sklearn_metrics.recall_score(
            truth, answers.predictions, labels=there, average="macro", zero_division=0.0
        )
    )


_POINT: dict[str, Callable[[Codes, Answers, int], float]] = {
    "accuracy": lambda truth, answers, _: float(sklearn_metrics.accuracy_score(truth, answers.predictions)),
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "roc_auc": lambda truth, answers, _: float(sklearn_metrics.roc_auc_score(truth, answers.scores)),
    "log_loss": lambda truth, answers, _: float(
        sklearn_metrics.log_loss(truth, answers.scores, labels=[0, 1])
    ),
}

NAMES = tuple(_POINT)


def _is_hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)
