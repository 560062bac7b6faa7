"""Where a version is weak, as its evaluation measured it: sentences that nobody has to write."""

from collections.abc import Iterator
from math import isfinite

from tasks.contracts import EvaluationReport, Metric, SliceScore
from tasks.spec import kind_of

FEW_ROWS = 100
"""A slice with fewer rows says little of itself."""


def limits_of(report: EvaluationReport) -> tuple[str, ...]:
    """What a reader has to know before relying on an answer."""
    return (*_slices(report), *_rows(report), *_unknown(report), *_behaviour(report))


def _slices(report: EvaluationReport) -> Iterator[str]:
    known = [each for each in report.candidate.slices if isfinite(each.metric.value)]
    overall = next((one for one in report.candidate.metrics if one.name == report.primary_metric), None)
    if known and overall is not None:
        sign = kind_of(report.primary_metric).sign
        worst = min(known, key=lambda each: sign * each.metric.value)
        if sign * worst.metric.value < sign * overall.value:
            yield (
                f"It is worst where {_told(worst)}: {report.primary_metric} {_interval(worst.metric)}, and "
                f"{_interval(overall)} on all rows."
            )
    few = [each for each in report.candidate.slices if each.rows < FEW_ROWS]
    if few:
        named = ", ".join(f"{_told(each)} ({each.rows})" for each in few[:5])
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        yield f"Fewer than {FEW_ROWS} test rows say how it does where {named}{more}."


def _rows(report: EvaluationReport) -> Iterator[str]:
    if report.sets is not None and report.sets.unconfirmed_rows:
        yield (
            f"{report.sets.unconfirmed_rows} rows of the test part were left out, because nothing had "
            "confirmed their labels yet."
        )
    found = report.near_duplicates
    if found is not None and found.leaking_rows and not found.left_out:
        yield (
            f"{found.leaking_rows} training and validation rows say the same as rows of a later part, so "
            "that the metrics may flatter it."
        )


def _unknown(report: EvaluationReport) -> Iterator[str]:
    for name, why in sorted(report.candidate.undefined.items()):
        yield f"Its {name} is not known: {why}."
    for gap in report.fairness:
        if gap.gap is None:
            reason = f": {gap.undefined}" if gap.undefined else ""
            yield f"The gap in {gap.metric} between the groups of {gap.column} is not known{reason}."


def _behaviour(report: EvaluationReport) -> Iterator[str]:
    for test in report.behaviour:
        if test.passed < test.cases:
            failed = test.cases - test.passed
            yield f"It does not behave as expected in {failed} of {test.cases} cases of {test.name!r}."


def _told(found: SliceScore) -> str:
    return f"{found.column} is {found.value}"


def _interval(metric: Metric) -> str:
    return f"{metric.value:.4g} [{metric.low:.4g}, {metric.high:.4g}]"
