"""Does the candidate reach the declared threshold of each metric?"""

from collections.abc import Iterator

from tasks.contracts import EvaluationReport, RuleVerdict
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
    passed = metric is not None and (metric.value >= threshold if more else metric.value <= threshold)
    if metric is None:
        reasons = tell_reasons(name, candidate=evaluation.candidate)
        why = (
            f"{name} is not defined on these rows{reasons}, so gate.{field}.{name} of {threshold:g} cannot "
            "be checked."
        )
    elif more:
        why = f"{tell_metric(metric)} is {'at least' if passed else 'below'} {threshold:g}."
    else:
        why = f"{tell_metric(metric)} is {'at most' if passed else 'above'} {threshold:g}."
    return RuleVerdict(
        rule=f"{field}.{name}",
        value=metric.value if metric else None,
        threshold=threshold,
        passed=passed,
        blocks="reject",
        why=why,
    )
