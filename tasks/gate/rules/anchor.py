"""Is the candidate no worse on the rows that no later batch can change?"""

from tasks.contracts import EvaluationReport, Look, PairedDifference, RuleVerdict, SetScore
from tasks.gate.rules.non_inferiority import difference_to_root, p_worse
from tasks.gate.rules.reports import is_told, tell_difference
from tasks.gate.rules.superiority import tell_needed
from tasks.spec import GateSpec, kind_of

ANCHOR_ROWS = 1_000
"""With fewer the anchor decides nothing."""


def deciding_anchor(evaluation: EvaluationReport) -> SetScore | None:
    """What was scored on the anchor, where it has enough rows to decide."""
    score = evaluation.sets.anchor.score if evaluation.sets else None
    return score if score is not None and score.rows >= ANCHOR_ROWS else None


def no_harm_on_anchor(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """Surely worse than the champion, or apparently worse than the root by `anchor_margin`, rejects."""
    rule, limit, score = f"anchor.{rules.primary_metric}", -_margin(rules), deciding_anchor(evaluation)
    if score is None:
        why = f"{why_not(evaluation)} It decides nothing."
        return RuleVerdict(rule=rule, value=None, threshold=limit, passed=True, blocks="hold", why=why)
    found, to_root = score.to_champion, _to_root(evaluation, score)
    if found is None or to_root is None or not (is_told(found) and is_told(to_root)):
        why = "The difference to the champion or to the root is not defined on the anchor."
        return RuleVerdict(rule=rule, value=None, threshold=limit, passed=False, blocks="hold", why=why)
    sign, told = kind_of(rules.primary_metric).sign, _told(found, rules)
    surely = max(sign * found.low, sign * found.high) < 0
    apparently = sign * to_root.difference < -_margin(rules)
    if surely:
        why = f"is worse than the champion on the anchor: {told}."
    elif apparently:
        why = (
            f"seems worse than {_root(evaluation)} on the anchor by more than {_margin(rules):g}: "
            f"{_told(to_root, rules)}."
        )
    else:
        why = f"is not surely worse than the champion on the anchor: {told}."
    return RuleVerdict(
        rule=rule,
        value=found.difference,
        threshold=limit,
        passed=not (surely or apparently),
        blocks="reject",
        why=f"The candidate {why}",
    )


def not_worse_on_anchor(evaluation: EvaluationReport, rules: GateSpec, look: Look) -> RuleVerdict:
    """By the p-value of "worse than the root by `anchor_margin` or more". Where the anchor cannot decide, the
    test rows stand in for it: the champion's snapshot has them too, or they are old.
    """
    rule, name, score = f"anchor.{rules.primary_metric}", rules.primary_metric, deciding_anchor(evaluation)
    found = difference_to_root(evaluation) if score is None else _to_root(evaluation, score)
    instead = "" if score else f" {why_not(evaluation)} The test rows stand in for it."
    where = "on the anchor" if score else "on the test rows"
    if found is None or not is_told(found):
        why = f"The difference to {_root(evaluation)} is not defined {where}.{instead}"
        return RuleVerdict(rule=rule, value=None, threshold=look.alpha, passed=False, blocks="hold", why=why)
    margin, sign, told = _margin(rules), kind_of(name).sign, _told(found, rules)
    p, worse = p_worse(found, rules, margin), sign * found.difference < -margin
    passed = p <= look.alpha and not worse
    compared = f"than {_root(evaluation)} {where} by {margin:g} or more: {told}"
    if passed:
        why = f"is not worse {compared}, p = {p:.2g} of {look.alpha:.2g}."
    elif worse:
        why = f"seems worse {compared}."
    else:
        needed = tell_needed(found, sign * found.difference + margin, "That it is not", look)
        why = (
            f"is not shown to be not worse {compared} (p = {p:.2g}, and at most {look.alpha:.2g} shows it). "
        )
        why = f"{why}{needed}".strip()
    return RuleVerdict(
        rule=rule,
        value=p,
        threshold=look.alpha,
        passed=passed,
        blocks="reject" if worse else "hold",
        why=f"The candidate {why}{instead}",
    )


def why_not(evaluation: EvaluationReport) -> str:
    """Why the anchor does not decide; a sentence."""
    sets = evaluation.sets
    if sets is None:
        return "The evaluation has no anchor."
    if sets.anchor.unusable:
        return sets.anchor.unusable
    if sets.anchor.score is None:
        return "The anchor begins with this candidate."
    return f"The anchor has {sets.anchor.score.rows} rows, fewer than {ANCHOR_ROWS:,}."


def _to_root(evaluation: EvaluationReport, score: SetScore) -> PairedDifference | None:
    return score.to_champion if evaluation.root is None else score.to_root


def _root(evaluation: EvaluationReport) -> str:
    return evaluation.root.name if evaluation.root else "the champion"


def _margin(rules: GateSpec) -> float:
    return rules.most_lost_on_anchor


def _told(found: PairedDifference, rules: GateSpec) -> str:
    return f"{tell_difference(found, rules.primary_metric)} on {found.rows} rows"
