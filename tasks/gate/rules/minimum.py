"""Does the candidate reach the declared minimum of each metric?"""

from collections.abc import Iterator

from tasks.contracts import EvaluationReport, RuleVerdict
from tasks.gate.rules.reports import metric_of, tell_metric
from tasks.spec import GateSpec


def minima(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """One verdict a threshold: of `minimum`, or of `first_model_minimum` where no champion serves."""
    first = evaluation.champion is None
    field, thresholds = (
        ("first_model_minimum", rules.first_model_minimum) if first else ("minimum", rules.minimum)
    )
    for name, threshold in thresholds.items():
        yield _minimum(evaluation, field, name, threshold)


def _minimum(evaluation: EvaluationReport, field: str, name: str, threshold: float) -> RuleVerdict:
    metric = metric_of(evaluation.candidate, name)
    passed = metric is not None and metric.value >= threshold
    if metric is None:
        why = (
            f"{name} is not defined for the candidate on these rows, so gate.{field}.{name} of {threshold:g} "
            "cannot be checked."
        )
    else:
        why = f"{tell_metric(metric)} is {'at least' if passed else 'below'} {threshold:g}."
    return RuleVerdict(
        rule=f"{field}.{name}",
        value=metric.value if metric else None,
        threshold=threshold,
        passed=passed,
        blocks="reject",
        why=why,
    )
