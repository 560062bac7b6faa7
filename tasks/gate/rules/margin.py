"""Is the candidate no worse than the champion by more than a margin, on all rows and on each slice?"""

from collections.abc import Iterator
from math import isfinite

from tasks.contracts import EvaluationReport, PairedDifference, RuleVerdict
from tasks.gate.rules.reports import overall_difference, tell_difference
from tasks.spec import GateSpec


def margin_to_champion(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """On all rows, by `margin`."""
    rule = f"margin.{rules.primary_metric}"
    return _margin(overall_difference(evaluation), rules.margin, rule, "the champion")


def margins_on_slices(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """On each slice of at least `minimum_slice_rows`, by `slice_margin`."""
    differences = {
        found.slice_value: found for found in evaluation.differences if found.slice_value is not None
    }
    for part in evaluation.candidate.slices:
        if part.rows >= rules.minimum_slice_rows:
            name = f"{part.column}={part.value}"
            found = differences.get(part.value)
            yield _margin(found, rules.slice_margin, f"slice_margin.{name}", f"the champion on {name}")


def _margin(found: PairedDifference | None, margin: float, rule: str, champion: str) -> RuleVerdict:
    if found is None or not all(isfinite(value) for value in (found.difference, found.low, found.high)):
        why = (
            f"The difference to {champion} is not defined on these rows, so nothing shows that the candidate "
            "is "
            "not worse."
        )
        return RuleVerdict(rule=rule, value=None, threshold=-margin, passed=False, blocks="hold", why=why)
    passed = found.low >= -margin <= found.difference
    worse = found.difference < -margin or found.high < 0
    told = f"{tell_difference(found)} on {found.rows} rows"
    if passed:
        why = f"is not worse than {champion} by more than {margin:g}: {told}."
    elif worse:
        why = f"is worse than {champion}: {told}, and at most {-margin:g} is allowed."
    else:
        why = f"may be worse than {champion} by more than {margin:g}: {told}, too few to say."
    return RuleVerdict(
        rule=rule,
        value=found.low,
        threshold=-margin,
        passed=passed,
        blocks="reject" if worse else "hold",
        why=f"The candidate {why}",
    )
