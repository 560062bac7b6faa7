"""Did a retrain help? A pure function of the gate's evaluation of its candidate and of the checks since.

The gate has scored the champion before and after on the same rows: those that are newer than the champion's
snapshot (the drifted window, with its labels), the reference (the confirmed test rows) and the anchor.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from tasks.contracts import EvaluationReport, LedgerEntry, Metric, PairedDifference, SetScore, TargetSummary
from tasks.monitoring.in_service import InService, in_service, tell
from tasks.monitoring.watch import Level
from tasks.spec import kind_of

Verdict = Literal["helped", "did_not_help", "cannot_tell"]
Served = Sequence[TargetSummary]


@dataclass(frozen=True)
class OnRows:
    """The primary metric before and after on one set of rows, with 95 % intervals.

    Attributes:
        difference: After minus before on the same rows; None where the metric is not defined for both.
    """

    rows: int
    before: Metric | None
    after: Metric | None
    difference: PairedDifference | None


@dataclass(frozen=True)
class Evidence:
    """What is known of a retrain whose candidate was promoted.

    Attributes:
        drifted, reference, anchor: None where the evaluation has no such rows.
        checks: The levels of the checks that judged a window since, the oldest first.
        in_service: What labels say of the predictions before and since; it informs, and decides nothing. None
            where there is no window of either, and in records of an earlier Perennial.
        served: False where its training is over, and nothing was switched to it.
    """

    metric: str
    drifted: OnRows | None
    reference: OnRows | None
    anchor: OnRows | None
    checks: tuple[Level, ...]
    in_service: InService | None = None
    served: bool = True


def evidence_of(
    promotion: LedgerEntry,
    checks: tuple[Level, ...],
    before: Served = (),
    after: Served = (),
    *,
    served: bool = True,
) -> Evidence:
    """What the gate's entry on a promoted candidate says of before and after.

    Args:
        checks: The levels of the checks of the probation.
        before, after: The kept summaries of the windows of the champion before, and of the candidate.
        served: False where its training is over, and nothing was switched to it.
    """
    report = EvaluationReport.model_validate(promotion.evidence["evaluation"])
    sets = report.sets
    return Evidence(
        metric=report.primary_metric,
        drifted=_of_set(sets.newest) if sets else None,
        reference=_of_test_rows(report),
        anchor=_of_set(sets.anchor.score) if sets else None,
        checks=checks,
        in_service=in_service(report.primary_metric, before, after, max(1, len(checks))),
        served=served,
    )


def decide_effect(found: Evidence) -> tuple[Verdict, str]:
    """Whether the retrain helped, and why in words."""
    told = f"{_told('the drifted rows', found.drifted)}; {_told('the reference', found.reference)}; "
    told += f"{_told('the anchor', found.anchor)}."
    told += f" {tell(found.in_service)}" if found.in_service else ""
    if not found.served:
        never = "its candidate was promoted and never served"
        return "did_not_help", f"The retrain did not help: {never}. {found.metric} on {told}"
    alarms = found.checks.count("alarm")
    if alarms:
        since = f"{alarms} of the {len(found.checks)} checks since raised an alarm again"
        return "did_not_help", f"The retrain did not help: {since}. {found.metric} on {told}"
    low, high = _gain(found.drifted, found.metric)
    if low > 0:
        return "helped", f"The retrain helped, and no check since raised an alarm. {found.metric} on {told}"
    if high <= 0:
        return "did_not_help", f"The retrain did not help: it is no better. {found.metric} on {told}"
    return "cannot_tell", f"Whether the retrain helped cannot be told. {found.metric} on {told}"


def replay(entry: LedgerEntry) -> tuple[Verdict, str]:
    """Decide once more from nothing but the entry's evidence."""
    found: dict[str, Any] = entry.evidence["found"]
    return decide_effect(Evidence(**found))


def _gain(on: OnRows | None, metric: str) -> tuple[float, float]:
    """The interval of the difference, so that more is better; without one, all that there is."""
    if on is None or on.difference is None:
        return float("-inf"), float("inf")
    sign = kind_of(metric).sign
    low, high = sorted((sign * on.difference.low, sign * on.difference.high))
    return low, high


def _of_set(score: SetScore | None) -> OnRows | None:
    return None if score is None else OnRows(score.rows, score.champion, score.candidate, score.to_champion)


def _of_test_rows(report: EvaluationReport) -> OnRows | None:
    if report.champion is None:
        return None
    whole = next((each for each in report.differences if each.slice_value is None), None)
    before, after = (
        next((metric for metric in score.metrics if metric.name == report.primary_metric), None)
        for score in (report.champion, report.candidate)
    )
    return OnRows(report.rows, before, after, whole)


def _told(rows: str, on: OnRows | None) -> str:
    if on is None or on.before is None or on.after is None or on.difference is None:
        return f"{rows}: not known"
    return (
        f"{rows} ({on.rows}): {on.before.value:.4g} before, {on.after.value:.4g} after "
        f"({on.difference.difference:+.4g} [{on.difference.low:+.4g}, {on.difference.high:+.4g}])"
    )
