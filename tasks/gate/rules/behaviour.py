"""Does the candidate behave as the model's behaviour.yaml asks?"""

from collections.abc import Iterator

from tasks.contracts import BehaviourResult, EvaluationReport, FailedCase, RuleVerdict

NAMED = 3


def behaves(evaluation: EvaluationReport) -> Iterator[RuleVerdict]:
    """One verdict a test: too few passing cases reject, and a test without any case holds."""
    yield from map(_verdict, evaluation.behaviour)


def _verdict(found: BehaviourResult) -> RuleVerdict:
    share = found.passed / found.cases if found.cases else None
    passed = share is not None and share >= found.required_share
    if share is None:
        why = f"Not one case of this {_kind(found)} test was there to be asked, so nothing can be said of it."
    else:
        needed = f"at least {found.required_share:g} of them have to"
        why = f"{found.passed} of {found.cases} cases of this {_kind(found)} test passed; {needed}."
    if share is not None and not passed:
        why += f" Among those that failed: {' '.join(map(_told, found.failed[:NAMED]))}"
    return RuleVerdict(
        rule=f"behaviour.{found.name}",
        value=share,
        threshold=found.required_share,
        passed=passed,
        blocks="hold" if share is None else "reject",
        why=why,
    )


def _kind(found: BehaviourResult) -> str:
    return found.kind.replace("_", " ")


def _told(case: FailedCase) -> str:
    changed = f", changed to {case.changed}" if case.changed else ""
    return f"{case.instance}{changed}: {case.why}"
