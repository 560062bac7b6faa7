"""Is the candidate better than the champion on the newest labelled rows?"""

from tasks.contracts import EvaluationReport, Look, RuleVerdict
from tasks.gate.rules.superiority import better
from tasks.spec import GateSpec


def better_on_newest_rows(evaluation: EvaluationReport, rules: GateSpec, look: Look) -> RuleVerdict:
    """On the test part's rows that the champion's snapshot has not, at the level that this look may cost.

    A candidate is promoted only if this and the anchor's rule both pass, each at the whole level: that bounds
    the probability that either is passed wrongly by the level (intersection-union test, Berger, Technometrics
    24:295, 1982).
    """
    newest = evaluation.sets.newest if evaluation.sets else None
    rows, least = newest.rows if newest else 0, rules.minimum_slice_rows
    if newest is None or rows < least:
        why = (
            f"{rows} test rows are newer than the champion's snapshot, and at least {least} are needed to "
            "show that the candidate is better on them."
        )
        return RuleVerdict(
            rule=f"newest_rows.{rules.primary_metric}",
            value=None,
            threshold=look.alpha,
            passed=False,
            blocks="hold",
            why=why,
        )
    return better(evaluation, newest.to_champion, rules, look, "newest_rows", " on the newest rows")
