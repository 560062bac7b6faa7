"""Charts as places in a drawing: what is measured over time, with intervals, thresholds and releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.overview.axes import Axis, bounds, path_of, round_values
from tasks.provenance.numbers import tell_number

WIDTH, HEIGHT = 640.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 18.0, 28.0
SPARK_WIDTH, SPARK_HEIGHT, SPARK_PAD = 140.0, 36.0, 4.0


@dataclass(frozen=True)
class Point:
    """Something that was measured.

    Attributes:
        low, high: Its interval; None where it has none.
        limit: What it was held against; None for nothing.
        kind: `good`, `bad`, `warn` or `calm`: how it is drawn.
        label: What a reader has to know of it.
        entry: The ledger's entry that has its evidence.
    """

    at: datetime
    value: float
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    kind: str = "calm"
    label: str = ""
    entry: int | None = None


@dataclass(frozen=True)
class Dot:
    """Where a point is drawn."""

    x: float
    y: float
    foot: float | None
    head: float | None
    told: str
    point: Point


@dataclass(frozen=True)
class Mark:
    """A moment: a release, drawn as an upright line."""

    x: float
    label: str
    at: datetime


@dataclass(frozen=True)
class Trend:
    """A chart over time, and the same as a table.

    Attributes:
        path, limit_path: SVG paths of the line and of what it was held against.
    """

    title: str
    unit: str
    limit_name: str
    path: str
    limit_path: str
    dots: tuple[Dot, ...]
    marks: tuple[Mark, ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str, str], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Spark:
    """A line without axes: where it goes, and its last place."""

    path: str
    x: float
    y: float
    told: str
    width: float = SPARK_WIDTH
    height: float = SPARK_HEIGHT


def trend(
    title: str,
    points: Sequence[Point],
    *,
    releases: Sequence[tuple[datetime, str]] = (),
    unit: str = "",
    limit_name: str = "threshold",
) -> Trend | None:
    """Lay points out over time, in the order in which they came; None where nothing was measured.

    Args:
        releases: When something began to serve, and what; those within the time of the points are marked.
    """
    if not points:
        return None
    points = sorted(points, key=lambda point: point.at)  # a clock may have been set back between two
    times = [point.at.timestamp() for point in points]
    x = Axis(times[0], times[-1], LEFT + 8, WIDTH - RIGHT - 8)
    low, high = bounds([end for point in points for end in _ends(point)])
    y = Axis(low, high, HEIGHT - BOTTOM, TOP)
    return Trend(
        title=title,
        unit=unit,
        limit_name=limit_name,
        path=path_of([(x.place(each.at.timestamp()), y.place(each.value)) for each in points]),
        limit_path=_limit_path(points, x, y),
        dots=tuple(_dot(point, x, y) for point in points),
        marks=tuple(
            Mark(x.place(at.timestamp()), label, at)
            for at, label in releases
            if times[0] <= at.timestamp() <= times[-1]
        ),
        y_ticks=tuple((y.place(value), tell_number(value)) for value in round_values(low, high)),
        x_ticks=_x_ticks(points, x),
    )


def spark(values: Sequence[float], told: str) -> Spark | None:
    """A line of values, oldest first; None of fewer than two, which show no course."""
    if len(values) < 2:
        return None
    x = Axis(0, len(values) - 1, SPARK_PAD, SPARK_WIDTH - SPARK_PAD)
    y = Axis(min(values), max(values), SPARK_HEIGHT - SPARK_PAD, SPARK_PAD)
    places = [(x.place(number), y.place(value)) for number, value in enumerate(values)]
    return Spark(path_of(places), *places[-1], told)


def _ends(point: Point) -> list[float]:
    return [end for end in (point.value, point.low, point.high, point.limit) if end is not None]


def _limit_path(points: Sequence[Point], x: Axis, y: Axis) -> str:
    """Each limit holds from its point to the next, as each check was held against its own."""
    steps, pen = [], "M"
    for point in points:
        if point.limit is None:
            pen = "M"
            continue
        place = x.place(point.at.timestamp())
        steps.append(f"{pen}{place:g} {y.place(point.limit):g}")
        pen = "L"
    if len(steps) == 1:
        steps.append(f"h{8:g}m{-16:g} 0h{8:g}")
    return "".join(steps)


def _dot(point: Point, x: Axis, y: Axis) -> Dot:
    foot, head = (None if end is None else y.place(end) for end in (point.low, point.high))
    return Dot(x.place(point.at.timestamp()), y.place(point.value), foot, head, _told(point), point)


def _told(point: Point) -> str:
    interval = (
        ""
        if point.low is None or point.high is None
        else f" [{tell_number(point.low)}, {tell_number(point.high)}]"
    )
    limit = "" if point.limit is None else f", threshold {tell_number(point.limit)}"
    label = f": {point.label}" if point.label else ""
    return f"{point.at:%Y-%m-%d %H:%M} UTC, {tell_number(point.value)}{interval}{limit}{label}"


def _x_ticks(points: Sequence[Point], x: Axis) -> tuple[tuple[float, str, str], ...]:
    """The first time and the last, and on which side of its place each word stands."""
    first, last = points[0].at, points[-1].at
    form = "%Y-%m-%d %H:%M" if first.date() == last.date() else "%Y-%m-%d"
    ends = [(x.place(first.timestamp()), first.strftime(form), "start")]
    if last != first:
        ends.append((x.place(last.timestamp()), last.strftime(form), "end"))
    return tuple(ends)
