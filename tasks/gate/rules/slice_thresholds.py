"""Does the candidate reach what is asked of it on each slice, whoever else serves or does not?"""

from collections.abc import Iterator
from math import isfinite
from statistics import NormalDist

from tasks.contracts import EvaluationReport, RuleVerdict, SliceScore
from tasks.gate.rules.holm import are_sure
from tasks.gate.rules.reports import tell_metric
from tasks.spec import GateSpec, kind_of

REACH = NormalDist().inv_cdf(0.975)


def slice_thresholds(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """On each slice of at least `minimum_slice_rows`, and on each that is named.

    Passes where the nearer limit of the slice's interval reaches the threshold, which needs no correction for
    the number of slices, because all of them have to (Berger, Technometrics 24:295, 1982). Surely short,
    corrected for their number, rejects; what is between holds, and so does a named slice that is not there,
    has too few rows or no value.
    """
    asked = list(_asked(evaluation, rules))
    surely = are_sure([_p_reaches(part, threshold, rules) for _, threshold, part in asked])
    for (name, threshold, part), sure in zip(asked, surely, strict=True):
        yield _slice(name, threshold, part, rules, sure=sure)


def _asked(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[tuple[str, float, SliceScore | None]]:
    """Each slice that has a threshold, those first that the rows have."""
    named = dict(rules.slice_thresholds)
    for part in evaluation.candidate.slices:
        name = f"{part.column}={part.value}"
        if name in named:
            yield name, named.pop(name), part
        elif rules.slice_threshold is not None and part.rows >= rules.minimum_slice_rows:
            yield name, rules.slice_threshold, part
    yield from ((name, threshold, None) for name, threshold in named.items())


def _slice(
    name: str, threshold: float, part: SliceScore | None, rules: GateSpec, *, sure: bool
) -> RuleVerdict:
    more = kind_of(rules.primary_metric).larger_is_better
    known = part is not None and part.rows >= rules.minimum_slice_rows and _is_told(part)
    value, reached, passed = None, False, False
    if part is not None and known:
        value, near = part.metric.value, part.metric.low if more else part.metric.high
        reached, passed = (each >= threshold if more else each <= threshold for each in (value, near))
        passed = reached and passed
        side, other = ("least", "below") if more else ("most", "above")
        if passed:
            judged = f"is surely at {side}"
        elif reached:
            judged = f"may only by luck, because the limit of its interval is not, be at {side}"
        else:
            judged = f"is {'surely' if sure else 'perhaps'} {other}"
        why = f"On {part.rows} rows with {name}, {tell_metric(part.metric)} {judged} {threshold:g}."
    else:
        why = f"{_unknown(name, part, rules)}, so its threshold of {threshold:g} cannot be checked."
    return RuleVerdict(
        rule=f"slice_threshold.{name}",
        value=value,
        threshold=threshold,
        passed=passed,
        blocks="reject" if known and not reached and sure else "hold",
        why=why,
    )


def _unknown(name: str, part: SliceScore | None, rules: GateSpec) -> str:
    if part is None:
        return f"No test row is in the slice {name}"
    if part.rows < rules.minimum_slice_rows:
        return f"The slice {name} has {part.rows} test rows, fewer than {rules.minimum_slice_rows}"
    return f"{rules.primary_metric} is not defined on the {part.rows} rows with {name}"


def _p_reaches(part: SliceScore | None, threshold: float, rules: GateSpec) -> float:
    """That the slice reaches the threshold, by the normal distribution with the standard error of the
    interval's side towards it.
    """
    if part is None or part.rows < rules.minimum_slice_rows or not _is_told(part):
        return 1.0
    metric, sign = part.metric, kind_of(rules.primary_metric).sign
    short = sign * (threshold - metric.value)
    error = abs((metric.high if sign > 0 else metric.low) - metric.value) / REACH
    return NormalDist().cdf(-short / error) if error > 0 else float(short <= 0)


def _is_told(part: SliceScore) -> bool:
    return all(isfinite(each) for each in (part.metric.value, part.metric.low, part.metric.high))
