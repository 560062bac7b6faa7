"""What the rules read from an evaluation, and how a metric is told."""

from math import isfinite
from typing import Literal

from tasks.contracts import EvaluationReport, Metric, ModelScore, PairedDifference
from tasks.spec import kind_of


def metric_of(score: ModelScore, name: str) -> Metric | None:
    """The metric where it is there and each of its numbers is one."""
    found = next((metric for metric in score.metrics if metric.name == name), None)
    defined = found is not None and all(isfinite(value) for value in (found.value, found.low, found.high))
    return found if defined else None


def overall_difference(evaluation: EvaluationReport) -> PairedDifference | None:
    """Candidate minus champion on all rows."""
    return next((found for found in evaluation.differences if found.slice_value is None), None)


def is_told(found: PairedDifference) -> bool:
    """Whether each number of the comparison is one."""
    numbers = (found.difference, found.low, found.high, found.p_not_better, found.p_not_worse)
    return all(number is not None and isfinite(number) for number in numbers)


def tell_reasons(name: str, **scores: ModelScore | None) -> str:
    """Why a metric is not defined for these models, in brackets; nothing where no reason is known."""
    reasons = [
        f"{role}: {score.undefined[name]}"
        for role, score in scores.items()
        if score and name in score.undefined
    ]
    return f" ({'; '.join(reasons)})" if reasons else ""


def tell_metric(metric: Metric) -> str:
    value, low, high = (tell_value(each, metric.name) for each in (metric.value, metric.low, metric.high))
    return f"{metric.name} {value} [{low}, {high}]"


def tell_difference(found: PairedDifference, name: str) -> str:
    value, low, high = (tell_value(each, name, "+") for each in (found.difference, found.low, found.high))
    return f"{value} [{low}, {high}]"


def tell_value(value: float, name: str, sign: Literal["", "+"] = "") -> str:
    """Four decimals; of a number in the label's units, which may be small, four digits that say something."""
    is_small = kind_of(name).in_label_units and 0 < abs(value) < 0.01
    return f"{value:{sign}.4g}" if is_small else f"{value:{sign}.4f}"
