"""Does the candidate surely reach the declared threshold of each metric?"""

from collections.abc import Iterator

from tasks.contracts import EvaluationReport, Metric, RuleVerdict
from tasks.gate.rules.reports import metric_of, tell_metric, tell_reasons
from tasks.spec import GateSpec, kind_of


def thresholds(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """One verdict a threshold: those of a first model where no champion serves, else the others."""
    first = evaluation.champion is None
    for field, name, threshold in rules.thresholds():
        if field.startswith("first_model") == first:
            yield _threshold(evaluation, field, name, threshold)


def _threshold(evaluation: EvaluationReport, field: str, name: str, threshold: float) -> RuleVerdict:
    metric, more = metric_of(evaluation.candidate, name), kind_of(name).larger_is_better
    reached, surely = _reaches(metric, threshold, more=more) if metric else (False, False)
    if metric is None:
        reasons = tell_reasons(name, candidate=evaluation.candidate)
        why = (
            f"{name} is not defined on these rows{reasons}, so gate.{field}.{name} of {threshold:g} cannot "
            "be checked."
        )
    elif surely:
        why = f"{tell_metric(metric)} is surely at {'least' if more else 'most'} {threshold:g}."
    elif reached:
        why = (
            f"{tell_metric(metric)} is at {'least' if more else 'most'} {threshold:g}, but perhaps only by "
            f"luck: the {'lower' if more else 'upper'} limit of its interval is not. More test rows would "
            "tell."
        )
    else:
        why = f"{tell_metric(metric)} is {'below' if more else 'above'} {threshold:g}."
    return RuleVerdict(
        rule=f"{field}.{name}",
        value=metric.value if metric else None,
        threshold=threshold,
        passed=surely,
        blocks="hold" if reached or not evaluation.rows else "reject",
        why=why,
    )


def _reaches(metric: Metric, threshold: float, *, more: bool) -> tuple[bool, bool]:
    """Whether the value does, and whether the limit of its interval that is nearer does too."""
    if more:
        return metric.value >= threshold, metric.low >= threshold
    return metric.value <= threshold, metric.high <= threshold
