"""Does the candidate answer fast enough?"""

from math import isfinite

from tasks.contracts import EvaluationReport, RuleVerdict
from tasks.spec import GateSpec


def latency(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """The 95th percentile of single requests; one that was not measured rejects."""
    measured, limit = evaluation.candidate.latency_p95_seconds, rules.latency_p95_seconds
    known = measured if measured is not None and isfinite(measured) else None
    passed = known is not None and known <= limit
    if known is None:
        why = f"The latency was not measured, so the limit of {limit:g} s cannot be checked."
    else:
        why = (
            f"The 95th percentile of single requests, {known:.4f} s, is {'within' if passed else 'above'} "
            f"the limit of {limit:g} s."
        )
    return RuleVerdict(
        rule="latency_p95_seconds", value=known, threshold=limit, passed=passed, blocks="reject", why=why
    )
