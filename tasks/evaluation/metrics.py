"""Metrics of a model on the frozen rows, each with a 95 % interval, and the paired difference of two models.

A metric that the rows or the answers do not define (one class only, no scores) is left out with the reason,
never NaN. Shares have Wilson's interval, the others the percentile bootstrap; differences are bootstrapped on
the same draws for both models. Sources are in `shares` and `bootstrap`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.contracts import Metric, PairedDifference
from tasks.evaluation import classification, regression, shares
from tasks.evaluation.answers import Answers, Target, Truth
from tasks.evaluation.bootstrap import Interval, Statistic, intervals, minus
from tasks.spec import RECALL_OF, kind_of, label_text

DEALS, SEED = 50, 0


@dataclass(frozen=True)
class Measured:
    """The metrics that are defined, and why the others are not, by name."""

    metrics: tuple[Metric, ...]
    undefined: dict[str, str]


def measure(names: Iterable[str], target: Target, truth: Truth, answers: Answers) -> Measured:
    """Each metric of `names` with its interval."""
    found: dict[str, tuple[float, float, float]] = {}
    undefined: dict[str, str] = {}
    drawn: dict[str, Statistic] = {}
    for name in names:
        if reason := undefined_because(name, target, truth, answers):
            undefined[name] = reason
        elif shares.is_share(name):
            found[name] = shares.measure(_right(name, target, truth, answers))
        else:
            drawn[name] = _statistic(name, target, truth, answers)
    for name, limits in zip(drawn, intervals(list(drawn.values()), len(truth)), strict=True):
        value = _point(name, target, truth, answers)
        low, high = _around(value, limits) if name == "calibration_error" else limits[:2]
        found[name] = (value, low, high)
    for name, numbers in found.items():
        if not np.isfinite(numbers).all():
            undefined[name] = f"not every draw of the {len(truth)} rows defines it"
    metrics = (
        Metric(name=name, value=value, low=low, high=high) for name, (value, low, high) in found.items()
    )
    return Measured(tuple(metric for metric in metrics if metric.name not in undefined), undefined)


def value_of(name: str, target: Target, truth: Truth, answers: Answers) -> float | None:
    """A metric without its interval; None where it is not defined."""
    if undefined_because(name, target, truth, answers):
        return None
    value = _value(name, target, truth, answers)
    return value if np.isfinite(value) else None


def _around(value: float, limits: Interval) -> tuple[float, float]:
    """A draw of well calibrated answers is less so than they are, and its error never below 0: percentiles
    may leave the value itself out, and the upper one is on the safe side.
    """
    return min(limits.low, value), max(limits.high, value)


def difference(
    name: str,
    target: Target,
    truth: Truth,
    candidate: Answers,
    champion: Answers,
    slice_value: str | None = None,
) -> PairedDifference | None:
    """Candidate minus champion on the same rows, with a paired interval; None where the metric is not defined
    for both.

    That the candidate is not better is tested by McNemar's test for accuracy, for other metrics by the
    difference in units of its bootstrap standard error.
    """
    pair, p_value = (candidate, champion), None
    if any(undefined_because(name, target, truth, answers) for answers in pair):
        return None
    if name == "accuracy":
        first, second = (_right(name, target, truth, answers) for answers in pair)
        (gained, low, high), (p_value, p_not_better, p_not_worse) = shares.difference(first, second)
    else:
        own, its = (_point(name, target, truth, answers) for answers in pair)
        statistics = [_statistic(name, target, truth, answers) for answers in pair]
        gained, [(low, high, error)] = own - its, intervals([minus(*statistics)], len(truth))
        gain = kind_of(name).sign * gained
        p_not_better, p_not_worse = (_p_value(each, error, len(truth)) for each in (gain, -gain))
    if not np.isfinite([gained, low, high]).all():
        return None
    return PairedDifference(
        slice_value=slice_value,
        rows=len(truth),
        difference=gained,
        low=low,
        high=high,
        p_value=p_value,
        p_not_better=p_not_better,
        p_not_worse=p_not_worse,
    )


def at_random(name: str, target: Target, truth: Truth, answers: Answers) -> float | None:
    """The metric if the same labels were dealt out to the rows at random, as the mean over `DEALS` of them;
    None where it is not defined.
    """
    if undefined_because(name, target, truth, answers):
        return None
    rng = np.random.default_rng(SEED)
    found = [_value(name, target, rng.permutation(truth), answers) for _ in range(DEALS)]
    return float(np.mean(found)) if np.isfinite(found).all() else None


def _p_value(gain: float, error: float, rows: int) -> float:
    """By Student's distribution, whose tails are heavier than the normal one's; 1 where no draw differs from
    another, so that nothing can be said.
    """
    return float(stats.t.sf(gain / error, rows - 1)) if error > 0 else 1.0


def undefined_because(name: str, target: Target, truth: Truth, answers: Answers) -> str | None:
    """Why a metric cannot be computed, in words; None where it can."""
    if target.task == "regression":
        return regression.undefined_because(name, truth, answers)
    if name == "recall" or name.startswith(RECALL_OF):
        code = _code(name, target)
        return None if (truth == code).any() and code >= 0 else f"no row has the label of {name}"
    return classification.undefined_because(name, truth, answers)


def _right(name: str, target: Target, truth: Truth, answers: Answers) -> NDArray[np.bool_]:
    """Which of the rows that the share is of are right."""
    rows = shares.rows_of_share(name, truth, answers.predictions, _code(name, target))
    return np.asarray((truth == answers.predictions)[rows])


def _code(name: str, target: Target) -> int:
    """The class that a recall is of; -1 where there is none of that name."""
    if not name.startswith(RECALL_OF):
        return shares.POSITIVE
    named = [label_text(label) for label in target.classes]
    wanted = name.removeprefix(RECALL_OF)
    return named.index(wanted) if wanted in named else -1


def _value(name: str, target: Target, truth: Truth, answers: Answers) -> float:
    if shares.is_share(name):
        return float(_right(name, target, truth, answers).mean())
    return _point(name, target, truth, answers)


def _point(name: str, target: Target, truth: Truth, answers: Answers) -> float:
    if target.task == "regression":
        return regression.point(name, truth, answers)
    return classification.point(name, truth, answers, len(target.classes))


def _statistic(name: str, target: Target, truth: Truth, answers: Answers) -> Statistic:
    if target.task == "regression":
        return regression.statistic(name, truth, answers)
    return classification.statistic(name, truth, answers, len(target.classes))
