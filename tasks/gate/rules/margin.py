"""Is the candidate no worse than the champion by more than a margin, on all rows and on each slice?"""

from collections.abc import Iterator
from math import isfinite

from tasks.contracts import EvaluationReport, PairedDifference, RuleVerdict
from tasks.gate.rules.reports import overall_difference, tell_difference
from tasks.spec import METRICS, GateSpec, MetricKind


def margin_to_champion(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """On all rows, by `margin`."""
    name = rules.primary_metric
    found = overall_difference(evaluation)
    return _margin(found, METRICS[name], rules.margin, rule=f"margin.{name}", champion="the champion")


def margins_on_slices(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """On each slice of at least `minimum_slice_rows`, by `slice_margin`."""
    kind, differences = (
        METRICS[rules.primary_metric],
        {each.slice_value: each for each in evaluation.differences},
    )
    for part in evaluation.candidate.slices:
        if part.rows >= rules.minimum_slice_rows:
            name, found = f"{part.column}={part.value}", differences.get(part.value)
            rule, champion = f"slice_margin.{name}", f"the champion on {name}"
            yield _margin(found, kind, rules.slice_margin, rule=rule, champion=champion)


def _margin(
    found: PairedDifference | None, kind: MetricKind, margin: float, *, rule: str, champion: str
) -> RuleVerdict:
    """`threshold` and `value` are in units of the metric: for one of which less is better, the highest that
    the difference may be, and the upper limit of its interval.
    """
    limit = -margin * kind.sign
    if found is None or not all(isfinite(value) for value in (found.difference, found.low, found.high)):
        why = (
            f"The difference to {champion} is not defined on these rows, so nothing shows that the candidate "
            "is not worse."
        )
        return RuleVerdict(rule=rule, value=None, threshold=limit, passed=False, blocks="hold", why=why)
    gain = kind.sign * found.difference
    least, most = sorted((kind.sign * found.low, kind.sign * found.high))
    passed = least >= -margin <= gain
    worse = gain < -margin or most < 0
    told = f"{tell_difference(found)} on {found.rows} rows"
    if passed:
        why = f"is not worse than {champion} by more than {margin:g}: {told}."
    elif worse:
        why = f"is worse than {champion}: {told}, and at most {limit:+g} is allowed."
    else:
        why = f"may be worse than {champion} by more than {margin:g}: {told}, too few to say."
    return RuleVerdict(
        rule=rule,
        value=found.low if kind.larger_is_better else found.high,
        threshold=limit,
        passed=passed,
        blocks="reject" if worse else "hold",
        why=f"The candidate {why}",
    )
