"""Are the candidate's answers numbers that mean something?"""

from collections.abc import Iterator

from tasks.contracts import EvaluationReport, Health, RuleVerdict


def numerical_health(evaluation: EvaluationReport) -> Iterator[RuleVerdict]:
    """NaN, infinity, probabilities that are none, and one answer to every row reject.

    No verdict on the record of an earlier Perennial, which did not look.
    """
    found = evaluation.health
    if found is None:
        return
    faults = list(_faults(found))
    unsound = found.not_finite + found.not_probabilities
    yield RuleVerdict(
        rule="numerical_health",
        value=unsound,
        threshold=0,
        passed=not faults,
        blocks="reject",
        why="; ".join(faults) + "." if faults else f"The answers to all {found.rows} test rows are sound.",
    )


def _faults(found: Health) -> Iterator[str]:
    if found.not_finite:
        yield f"{found.not_finite} of {found.rows} answers have a number that is NaN or infinite"
    if found.not_probabilities:
        yield (
            f"{found.not_probabilities} of {found.rows} answers have scores that are no probabilities, in "
            "[0, 1] and 1 together"
        )
    if found.constant is not None:
        yield f"every answer has the {found.constant}, so the model does not tell the rows apart"
