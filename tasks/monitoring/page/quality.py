"""The model's metric over time, by labels and as an estimate, as the page shows it."""

from collections.abc import Sequence

from tasks.monitoring.page.contents import Series
from tasks.monitoring.page.lines import Line, Point
from tasks.monitoring.target.measures import FEWEST_ROWS
from tasks.monitoring.target.signals import Point as Seen


def drawn(points: Sequence[Seen], metric: str) -> tuple[Series, ...]:
    """The metric window after window; nothing where no window has it.

    Args:
        metric: What the gate compares models by.
    """
    measured = tuple(
        Point(point.start, point.metric, point.low, point.high)
        for point in points
        if point.metric is not None
    )
    estimated = tuple(
        Point(point.start, point.estimated, point.estimated_low, point.estimated_high)
        for point in points
        if point.estimated is not None
    )
    lines = (("by labels", measured), ("estimated from confidence", estimated))
    shown = tuple(Line(name, found) for name, found in lines if found)
    if not shown:
        return ()
    told = (
        "By the time of prediction, with 95 % intervals; by labels where a window has at least "
        f"{FEWEST_ROWS}. An estimate is what the model believes of itself."
    )
    return (Series(title=f"{metric} of the champion", told=told, lines=shown),)
