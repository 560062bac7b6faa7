"""Metrics of a model on the frozen rows, each with a 95 % interval, and the paired difference of two models.

Point values are scikit-learn's, intervals and tests SciPy's. A metric that the rows or the answers do not
define (one class only, no scores, a row without a number) is left out, never NaN.

Sources: Wilson's interval for accuracy and for the recall of a class (Brown, Cai and DasGupta, Statistical
Science 16:101, 2001); the percentile bootstrap for the others, and on identical rows for differences (Efron
and Tibshirani, 1993); one added disagreement each way, so that few of them do not pass for certainty (Bonett
and Price, J. Educ. Behav. Stat. 37:479, 2012); McNemar's exact test.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.contracts import Metric, PairedDifference
from tasks.evaluation import classification, regression
from tasks.evaluation.answers import Answers, Labels
from tasks.spec import METRICS, Task, metrics_of

CONFIDENCE = 0.95
SEED = 20_250_101
MOST_RESAMPLES = 1000
FEWEST_RESAMPLES = 200
DRAWN_VALUES = 5_000_000
MOST_CLASSES = 50

Resampled = Callable[..., Any]


def measure(name: str, truth: Labels, answers: Answers, classes: int) -> Metric | None:
    """One metric with its interval; None where it is not defined.

    Args:
        name: One of `tasks.spec.METRICS`.
        truth: The labels' codes, or a regression's labels, shape (rows,).
        classes: How many classes there are, in all the data; 0 for a regression.
    """
    if undefined_because(name, truth, answers, classes) is not None:
        return None
    value = _point(name, truth, answers, classes)
    if name == "accuracy":
        low, high = _wilson(int((truth == answers.predictions).sum()), len(truth))
    else:
        low, high = _bootstrap(
            lambda y, a, axis: _over_draws(name, classes, y, a, axis), _columns(name, truth, answers)
        )
    defined = np.isfinite([value, low, high]).all()
    return Metric(name=name, value=value, low=low, high=high) if defined else None


def measure_all(task: Task, truth: Labels, answers: Answers, classes: int) -> tuple[Metric, ...]:
    """Every metric of the task that is defined."""
    found = (measure(name, truth, answers, classes) for name in metrics_of(task))
    return tuple(metric for metric in found if metric is not None)


def measure_classes(truth: Labels, answers: Answers, classes: Sequence[Any]) -> tuple[Metric, ...]:
    """The recall of each class that there is, as `recall of <class>`; none of very many classes."""
    if len(classes) > MOST_CLASSES:
        return ()
    found = []
    for code, rows, right in classification.recalls(truth, answers.predictions, len(classes)):
        low, high = _wilson(right, rows)
        found.append(Metric(name=f"recall of {classes[code]}", value=right / rows, low=low, high=high))
    return tuple(found)


def undefined_because(name: str, truth: Labels, answers: Answers, classes: int) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if _is_regression(name):
        return regression.undefined_because(name, truth, answers.predictions)
    return classification.undefined_because(name, truth, answers, classes)


def difference(
    name: str,
    truth: Labels,
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
    first, second = (_point(name, truth, answers, classes) for answers in pair)
    p_value = None
    if name == "accuracy":
        right = [(truth == answers.predictions).astype(np.int8) for answers in pair]
        gained = right[0] - right[1]
        low, high = _bootstrap(np.mean, (np.concatenate([gained, np.array([1, -1], dtype=np.int8)]),))
        p_value = mcnemar(int((gained == 1).sum()), int((gained == -1).sum()))
    else:
        answered = tuple(_columns(name, truth, answers)[1] for answers in pair)
        low, high = _bootstrap(
            lambda y, a, b, axis: (
                _over_draws(name, classes, y, a, axis) - _over_draws(name, classes, y, b, axis)
            ),
            (truth, *answered),
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


def _wilson(right: int, rows: int) -> tuple[float, float]:
    interval = stats.binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


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


def _is_regression(name: str) -> bool:
    return METRICS[name].tasks == ("regression",)


def _point(name: str, truth: Labels, answers: Answers, classes: int) -> float:
    if _is_regression(name):
        return regression.point(name, truth, answers.predictions)
    return classification.point(name, truth, answers, classes)


def _columns(name: str, truth: Labels, answers: Answers) -> tuple[NDArray[Any], NDArray[Any]]:
    if _is_regression(name):
        return truth, answers.predictions
    return classification.columns(name, truth, answers)


def _over_draws(name: str, classes: int, truth: Any, answer: Any, axis: int) -> Any:
    if _is_regression(name):
        return regression.over_draws(name, truth, answer, axis)
    return classification.over_draws(name, classes, truth, answer, axis)
