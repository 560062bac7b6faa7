"""Does the candidate treat the declared groups alike enough?"""

from collections.abc import Iterator
from math import isfinite

from tasks.contracts import EvaluationReport, FairnessGap, GroupValue, RuleVerdict
from tasks.spec import GateSpec


def fair_to_groups(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    """One verdict a column and metric: a gap that is surely too large rejects, one that may be holds, and so
    does one that could not be computed.
    """
    found = {(each.column, each.metric): each for each in evaluation.fairness}
    for asked in rules.fairness:
        for metric, limit in asked.maximum_gap.items():
            yield _verdict(asked.column, metric, limit, found.get((asked.column, metric)))


def _verdict(column: str, metric: str, limit: float, found: FairnessGap | None) -> RuleVerdict:
    numbers = None if found is None else _numbers(found)
    gap, passed, surely = None, False, False
    if found is None or numbers is None:
        reason = f": {found.undefined}" if found is not None and found.undefined else ""
        why = (
            f"The gap in {metric} between the groups of {column} is not known{reason}, so its maximum of "
            f"{limit:g} cannot be checked."
        )
    else:
        gap, low, high = numbers
        passed, surely = high <= limit and gap <= limit, low > limit
        judged = "is surely at most" if passed else "is surely above" if surely else "may be above"
        why = (
            f"The gap in {metric} between the groups of {column}, {gap:.4g} [{low:.4g}, {high:.4g}] between "
            f"{_ends(found.groups)}, {judged} {limit:g}."
        )
    return RuleVerdict(
        rule=f"fairness.{column}.{metric}",
        value=gap,
        threshold=limit,
        passed=passed,
        blocks="reject" if surely else "hold",
        why=why,
    )


def _ends(groups: tuple[GroupValue, ...]) -> str:
    """The two groups between which the gap is."""
    ends = (choose(groups, key=lambda group: group.metric) for choose in (min, max))
    return " and ".join(f"{group.value} {group.metric:.4g}" for group in ends)


def _numbers(found: FairnessGap) -> tuple[float, float, float] | None:
    gap, low, high = found.gap, found.low, found.high
    if gap is None or low is None or high is None:
        return None
    return (gap, low, high) if all(map(isfinite, (gap, low, high))) else None
