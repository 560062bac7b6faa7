"""How a version answered the predictions that labels have come for, from the kept summaries of its windows.

What is compared are other rows at other times: it tells what people saw, and does not decide by itself.
"""

from collections.abc import Sequence
from functools import reduce
from math import sqrt

from pydantic.dataclasses import dataclass

from tasks.contracts import TargetSummary
from tasks.monitoring.target import measures
from tasks.monitoring.target.detectors import has_scores
from tasks.monitoring.target.windows import in_order, with_labels


@dataclass(frozen=True)
class Answered:
    """The metric that is watched, of the labelled predictions of some windows, with its 95 % interval.

    Attributes:
        rows: Predictions whose label has come.
        windows: How many windows they are of.
    """

    rows: int
    windows: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class InService:
    """How the champion before answered last, and the one after since its promotion.

    Attributes:
        metric: The one that is watched in the place of the primary one.
        before, after: None where no labels have come, or too few for the metric.
    """

    metric: str
    before: Answered | None
    after: Answered | None


def in_service(
    primary: str, before: Sequence[TargetSummary], after: Sequence[TargetSummary], most: int
) -> InService | None:
    """The champion before on its last labelled windows, and the one after on the first since its promotion.

    Args:
        before, after: The summaries of either's windows, in any order.
        most: At most so many windows of either.

    Returns:
        None where neither has answered in a window that was checked.
    """
    windows = [*before, *after]
    if not windows:
        return None
    metric = measures.watched(primary, windows[-1].task, has_scores=has_scores(windows))
    last, first = with_labels(in_order(before))[-most:], with_labels(in_order(after))[:most]
    return InService(metric, _answered(metric, last), _answered(metric, first))


def tell(found: InService) -> str:
    """One sentence on what was seen in service."""
    return (
        f"In service, {found.metric} is {_told(found.after)} since the promotion; the last of the champion "
        f"before is {_told(found.before)}."
    )


def _answered(metric: str, windows: Sequence[TargetSummary]) -> Answered | None:
    if not windows:
        return None
    seen = measures.loss(metric, reduce(measures.merged, windows))
    if seen is None:
        return None
    variance = seen.variance
    if variance is None:
        variance = measures.share_variance(seen.value * seen.rows, seen.rows)
    reach = measures.REACH * sqrt(variance)
    ends = (measures.as_metric(metric, seen.value + side * reach) for side in (-1, 1))
    low, high = sorted(ends)
    return Answered(seen.rows, len(windows), measures.as_metric(metric, seen.value), low, high)


def _told(on: Answered | None) -> str:
    if on is None:
        return "not known (too few labels)"
    of = f"{on.rows} labelled predictions of {on.windows} windows"
    return f"{on.value:.4g} [{on.low:.4g}, {on.high:.4g}] on {of}"
