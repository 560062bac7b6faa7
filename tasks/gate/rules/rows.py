"""Are there enough test rows to decide at all?"""

from tasks.contracts import EvaluationReport, RuleVerdict
from tasks.spec import GateSpec


def enough_test_rows(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """Fewer test rows than `minimum_test_rows` hold."""
    rows, least = evaluation.rows, rules.minimum_test_rows
    passed, unconfirmed = rows >= least, evaluation.sets.unconfirmed_rows if evaluation.sets else 0
    more = (
        f" {unconfirmed} more do not count, because nothing has confirmed them: the champion's snapshot has "
        f"them not, and they are not {rules.anchor_age_days:g} days old."
    )
    return RuleVerdict(
        rule="minimum_test_rows",
        value=rows,
        threshold=least,
        passed=passed,
        blocks="hold",
        why=f"{rows} test rows are {'enough' if passed else 'too few'}: at least {least} are needed."
        + (more if unconfirmed else ""),
    )
