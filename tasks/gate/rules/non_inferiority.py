"""Is the candidate not worse than the root by more than a margin?"""

from statistics import NormalDist

from tasks.contracts import EvaluationReport, Look, PairedDifference, RuleVerdict
from tasks.gate.rules.reports import is_told, overall_difference, tell_difference, tell_reasons
from tasks.gate.rules.superiority import REACH, tell_needed
from tasks.spec import GateSpec, kind_of


def not_worse_than_root(evaluation: EvaluationReport, rules: GateSpec, look: Look) -> RuleVerdict:
    """On all rows, by the p-value of "worse by `margin` or more" against the level that this look may cost.

    The root is fixed until a candidate is shown to be better than it, so that releases which are each a
    little worse than the one before do not add up to more than one margin (bio-creep: D'Agostino, Massaro
    and Sullivan, Statistics in Medicine 22:169, 2003).
    """
    name, found, overall = (
        rules.primary_metric,
        difference_to_root(evaluation),
        overall_difference(evaluation),
    )
    rule, root = f"non_inferiority.{name}", evaluation.root.name if evaluation.root else "the champion"
    if found is None or overall is None or not (is_told(found) and is_told(overall)):
        scores = {"candidate": evaluation.candidate, "champion": evaluation.champion, "root": evaluation.root}
        why = (
            f"The difference to {root} or to the champion is not defined on these rows"
            f"{tell_reasons(name, **scores)}, so nothing shows that the candidate is not worse."
        )
        return RuleVerdict(rule=rule, value=None, threshold=look.alpha, passed=False, blocks="hold", why=why)
    sign, p = kind_of(name).sign, p_worse(found, rules, rules.margin)
    surely_worse = max(sign * overall.low, sign * overall.high) < 0
    worse = surely_worse or sign * found.difference < -rules.margin
    passed = p <= look.alpha and not worse
    told = f"{tell_difference(found, name)} on {found.rows} rows"
    if passed:
        why = (
            f"is not worse than {root} by {rules.margin:g} or more: {told}, p = {p:.2g} of {look.alpha:.2g}."
        )
    elif surely_worse:
        why = f"is worse than the champion: {tell_difference(overall, name)} on {overall.rows} rows."
    elif worse:
        why = f"seems worse than {root} by more than {rules.margin:g}: {told}."
    else:
        needed = tell_needed(found, sign * found.difference + rules.margin, "That it is not", look)
        why = (
            f"is not shown to be no worse than {root} by {rules.margin:g}: {told} (p = {p:.2g}, and at most "
            f"{look.alpha:.2g} shows it). {needed}"
        )
    return RuleVerdict(
        rule=rule,
        value=p,
        threshold=look.alpha,
        passed=passed,
        blocks="reject" if worse else "hold",
        why=f"The candidate {why}".strip(),
    )


def difference_to_root(evaluation: EvaluationReport) -> PairedDifference | None:
    """Candidate minus root; the champion is its own root where there is no other."""
    return overall_difference(evaluation) if evaluation.root is None else evaluation.root_difference


def p_worse(found: PairedDifference, rules: GateSpec, margin: float) -> float:
    """Of "worse by the margin or more", by the normal distribution with the interval's standard error."""
    slack = kind_of(rules.primary_metric).sign * found.difference + margin
    error = abs(found.high - found.low) / 2 / REACH
    return NormalDist().cdf(-slack / error) if error > 0 else float(slack <= 0)
