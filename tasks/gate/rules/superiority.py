"""Is the candidate better than the champion, and worse on no slice?"""

from collections.abc import Iterator
from math import ceil, floor, log10
from statistics import NormalDist

from tasks.contracts import EvaluationReport, Look, PairedDifference, RuleVerdict, SliceScore
from tasks.gate.rules.holm import are_sure
from tasks.gate.rules.reports import is_told, overall_difference, tell_difference, tell_reasons
from tasks.spec import GateSpec, kind_of

NORMAL = NormalDist()
REACH = NORMAL.inv_cdf(0.975)
"""How many standard errors a 95 % interval reaches to each side."""
POWER = 0.8
MOST_ROWS = 10**9


def better_than_champion(evaluation: EvaluationReport, rules: GateSpec, look: Look) -> RuleVerdict:
    """On all rows, by the test's p-value, against the level that this look may cost."""
    return better(evaluation, overall_difference(evaluation), rules, look)


def better(
    evaluation: EvaluationReport,
    found: PairedDifference | None,
    rules: GateSpec,
    look: Look,
    rule: str = "superiority",
    where: str = "",
) -> RuleVerdict:
    """The same on some of the rows, which `where` names."""
    name = rules.primary_metric
    rule = f"{rule}.{name}"
    if found is None or not is_told(found):
        reasons = tell_reasons(name, candidate=evaluation.candidate, champion=evaluation.champion)
        on = where or " on these rows"
        why = (
            f"The difference to the champion is not defined{on}{reasons}, so nothing shows that "
            "the candidate is better."
        )
        return RuleVerdict(rule=rule, value=None, threshold=look.alpha, passed=False, blocks="hold", why=why)
    p, sign = float(found.p_not_better or 0), kind_of(name).sign
    gain, most = sign * found.difference, max(sign * found.low, sign * found.high)
    told = f"{tell_difference(found, name)} on {found.rows} rows"
    tested = f"p = {p:.2g}, and at most {look.alpha:.2g} shows it"
    worse = gain < -rules.margin or most < 0
    passed = gain > 0 and p <= look.alpha and not worse
    if passed:
        why = f"is better than the champion{where}: {told}, p = {p:.2g} of at most {look.alpha:.2g}."
    elif worse:
        why = f"is worse than the champion{where}: {told}."
    else:
        why = (
            f"is not shown to be better than the champion{where}: {told} ({tested}). "
            f"{_needed(found, rules, look)}"
        )
    return RuleVerdict(
        rule=rule,
        value=p,
        threshold=look.alpha,
        passed=passed,
        blocks="reject" if worse else "hold",
        why=f"The candidate {why}".strip(),
    )


def worse_on_no_slice(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """On each slice of at least `minimum_slice_rows`: surely worse rejects, apparently worse by more than
    `slice_margin` holds.

    How sure, is corrected for the number of slices. Source: Holm, Scand. J. Stat. 6:65 (1979).
    """
    differences = {(each.slice_column, each.slice_value): each for each in evaluation.differences}
    judged = [part for part in evaluation.candidate.slices if part.rows >= rules.minimum_slice_rows]
    found = [_difference_on(part, differences) for part in judged]
    surely = are_sure([_p_not_worse(each) for each in found])
    for part, each, sure in zip(judged, found, surely, strict=True):
        yield _slice(f"{part.column}={part.value}", each, rules, sure=sure)


def _difference_on(
    part: SliceScore, differences: dict[tuple[str | None, str | None], PairedDifference]
) -> PairedDifference | None:
    """On one slice; the records of an earlier Perennial do not name its column."""
    return differences.get((part.column, part.value)) or differences.get((None, part.value))


def _slice(name: str, found: PairedDifference | None, rules: GateSpec, *, sure: bool) -> RuleVerdict:
    kind = kind_of(rules.primary_metric)
    limit = -rules.slice_margin * kind.sign if rules.slice_margin else 0.0
    rule = f"slice_margin.{name}"
    if found is None or not is_told(found):
        why = (
            f"The difference to the champion on {name} is not defined, so nothing shows that it is not worse."
        )
        return RuleVerdict(rule=rule, value=None, threshold=limit, passed=False, blocks="hold", why=why)
    gain = kind.sign * found.difference
    told = f"{tell_difference(found, rules.primary_metric)} on {found.rows} rows"
    surely, apparently = gain < 0 and sure, gain < -rules.slice_margin
    if surely:
        why = f"is worse than the champion on {name}: {told}."
    elif apparently:
        why = f"seems worse than the champion on {name}: {told}, and at most {limit:+g} is allowed."
    else:
        why = f"is not worse than the champion on {name} by more than {rules.slice_margin:g}: {told}."
    return RuleVerdict(
        rule=rule,
        value=found.difference,
        threshold=limit,
        passed=not (surely or apparently),
        blocks="reject" if surely else "hold",
        why=f"The candidate {why}",
    )


def _needed(found: PairedDifference, rules: GateSpec, look: Look) -> str:
    """How many rows would show a gain as large as the margin, or as the measured one where that is larger."""
    gain = kind_of(rules.primary_metric).sign * found.difference
    if gain > rules.margin:
        return tell_needed(found, gain, "A gain as large as this one", look)
    return tell_needed(
        found, rules.margin, f"A true gain of {rules.margin:g} in {rules.primary_metric}", look
    )


def tell_needed(found: PairedDifference, sought: float, what: str, look: Look) -> str:
    """How many rows would show `sought` at this look's level; nothing where no number of rows would."""
    rows = needed(found, sought, look)
    if rows is None:
        return ""
    return f"{what} would be shown by about {_two_digits(max(rows, found.rows + 1)):,} test rows."


def needed(found: PairedDifference, sought: float, look: Look) -> float | None:
    """How many rows would show `sought` in four of five cases; None where no number of rows would."""
    if sought <= 0 or found.high == found.low or look.alpha <= 0:
        return None
    reach = NORMAL.inv_cdf(POWER) - NORMAL.inv_cdf(look.alpha)
    errors = reach * abs(found.high - found.low) / 2 / REACH / sought
    rows = found.rows * errors * errors
    return rows if rows < MOST_ROWS else None


def _two_digits(rows: float) -> int:
    """The next larger number that has only two digits which are not 0: no estimate knows more."""
    step: int = 10 ** max(0, floor(log10(rows)) - 1)
    return ceil(rows / step) * step


def _p_not_worse(found: PairedDifference | None) -> float:
    return 1.0 if found is None or found.p_not_worse is None else found.p_not_worse
