"""What the rules read from an evaluation, and how a metric is told."""

from math import isfinite

from tasks.contracts import EvaluationReport, Metric, ModelScore, PairedDifference


def metric_of(score: ModelScore, name: str) -> Metric | None:
    """The metric where it is there and each of its numbers is one."""
    found = next((metric for metric in score.metrics if metric.name == name), None)
    defined = found is not None and all(isfinite(value) for value in (found.value, found.low, found.high))
    return found if defined else None


def overall_difference(evaluation: EvaluationReport) -> PairedDifference | None:
    """Candidate minus champion on all rows."""
    return next((found for found in evaluation.differences if found.slice_value is None), None)


def tell_metric(metric: Metric) -> str:
    return f"{metric.name} {metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


def tell_difference(found: PairedDifference) -> str:
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
