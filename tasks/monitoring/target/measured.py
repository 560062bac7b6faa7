"""How good a version was in each of its windows, by the labels that came, and what was expected of it."""

from collections.abc import Sequence

from tasks.contracts import MeasuredWindow, MeasuredWindows, TargetReference, TargetSummary
from tasks.monitoring.target import measures, windows
from tasks.monitoring.target.detector import trace
from tasks.monitoring.target.detectors import performance, watched_of
from tasks.monitoring.target.signals import Point
from tasks.spec import MonitorSpec

MOST_WINDOWS = 30
DIGITS = 6


def measured(
    points: Sequence[Point], history: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec
) -> MeasuredWindows | None:
    """The newest windows whose labels define the metric, in order; None where there are none.

    Args:
        points: The same windows as `tasks.monitoring.target.signals.series` gives them.
        history: The summaries of the version's windows.
    """
    ordered = windows.in_order(history)
    kept = [each for each in points if each.metric is not None][-MOST_WINDOWS:]
    if not kept:
        return None
    name = watched_of(ordered, reference)
    detector = performance(ordered, reference, rules)
    seen = trace(detector, windows.with_labels(ordered), 0.0)
    expected = dict(zip(seen.starts, seen.boundaries, strict=True))
    allowed = detector.known.value + detector.floor if detector.known else None
    found = []
    for each in kept:
        before = [start for start in expected if start <= each.start]
        boundary = expected[max(before)] if before else allowed
        found.append(_window(each, None if boundary is None else measures.as_metric(name, boundary)))
    return MeasuredWindows(metric=name, windows=tuple(found))


def _window(point: Point, threshold: float | None) -> MeasuredWindow:
    numbers = {"value": point.metric, "low": point.low, "high": point.high, "threshold": threshold}
    told = {name: None if each is None else round(each, DIGITS) for name, each in numbers.items()}
    return MeasuredWindow.model_validate({"start": point.start, "labelled": point.labelled, **told})
