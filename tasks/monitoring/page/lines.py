"""Charts of what was measured in window after window, as places in a drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tasks.monitoring.page.axes import Axis, around, tell_time, time_ticks
from tasks.monitoring.page.words import number, percent, percent_tick, power, tick

WIDTH, HEIGHT = 440.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 14.0, 12.0, 26.0
LINES = 5
"""So many lines a chart; more cannot be told apart."""

Form = Literal["lines", "bars"]
Unit = Literal["number", "share", "log"]


@dataclass(frozen=True)
class Point:
    """What was measured in the window that starts at `time`.

    Attributes:
        low, high: Its interval; None where it has none.
        label: What a reader has to know of it.
        marked: Whether it alarms.
    """

    time: datetime
    value: float
    low: float | None = None
    high: float | None = None
    label: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Line:
    """Points in the order of their times, under one name."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Limit:
    """A value that something is compared with."""

    name: str
    value: float


@dataclass(frozen=True)
class Dot:
    """Where a point is drawn; `foot` and `head` are the ends of its interval, or of its bar."""

    x: float
    y: float
    told: str
    marked: bool
    foot: float | None = None
    head: float | None = None


@dataclass(frozen=True)
class Drawn:
    """A line as an SVG path, with gaps where nothing was measured, and its dots."""

    name: str
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Chart:
    """A drawing, and the same as a table.

    Attributes:
        limits: The place of each limit, its name, and its value in words.
        band: The places of what is usual: top and bottom.
        table: A row for each time; the first cell is the time.
    """

    title: str
    told: str
    form: Form
    lines: tuple[Drawn, ...]
    limits: tuple[tuple[float, str, str], ...]
    band: tuple[float, float] | None
    band_name: str
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str, str], ...]
    header: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    bar_width: float = 0.0
    height: float = HEIGHT
    width: float = WIDTH
    left: float = LEFT
    right: float = WIDTH - RIGHT

    @property
    def has_marks(self) -> bool:
        return any(dot.marked for line in self.lines for dot in line.dots)


@dataclass(frozen=True)
class Asked:
    """What a chart is made of.

    Attributes:
        told: What it shows, in a sentence.
        band: What is usual, from and to.
    """

    title: str
    told: str
    lines: Sequence[Line]
    limits: Sequence[Limit] = ()
    band: tuple[float, float] | None = None
    band_name: str = ""
    unit: Unit = "number"
    form: Form = "lines"
    with_zero: bool = False
    height: float = HEIGHT


def chart(asked: Asked) -> Chart | None:
    """Lay a chart out; None where nothing was measured."""
    lines = [line for line in asked.lines if any(math.isfinite(point.value) for point in line.points)][:LINES]
    times = sorted({point.time for line in lines for point in line.points})
    if not times:
        return None
    tell = percent if asked.unit == "share" else number
    tell_tick = {"share": percent_tick, "log": power, "number": tick}[asked.unit]
    # Half of a bar stands on each side of its time.
    half = (WIDTH - LEFT - RIGHT) / (2 * len(times)) if asked.form == "bars" else 6.0
    x = Axis(times[0].timestamp(), times[-1].timestamp(), LEFT + half, WIDTH - RIGHT - half)
    y = _height(asked, lines)
    return Chart(
        title=asked.title,
        told=asked.told,
        form=asked.form,
        lines=tuple(_drawn(line, x, y, asked, times) for line in lines),
        limits=tuple((y.place(limit.value), limit.name, tell(limit.value)) for limit in asked.limits),
        band=None if asked.band is None else (y.place(asked.band[1]), y.place(asked.band[0])),
        band_name=asked.band_name,
        y_ticks=tuple((y.place(value), tell_tick(value)) for value in y.ticks()),
        x_ticks=_x_ticks(times, x),
        header=("Window from", *(line.name for line in lines)),
        table=tuple(_table(lines, times, asked)),
        bar_width=round(max(1.0, min(26.0, 1.5 * half)), 1),
        height=asked.height,
    )


def _height(asked: Asked, lines: Sequence[Line]) -> Axis:
    values = [limit.value for limit in asked.limits] + list(asked.band or ())
    for point in (point for line in lines for point in line.points):
        values += [end for end in (point.value, point.low, point.high) if end is not None]
    bottom, top = asked.height - BOTTOM, TOP
    if asked.unit != "log":
        return around(values, bottom, top, with_zero=asked.with_zero)
    kept = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    return Axis(0.1, 3 * max(*kept, 10.0), bottom, top, logarithmic=True)


def _drawn(line: Line, x: Axis, y: Axis, asked: Asked, times: Sequence[datetime]) -> Drawn:
    steps, dots, pen = [], [], "M"
    zero = y.place(0.0) if asked.form == "bars" else None
    for point in line.points:
        if not math.isfinite(point.value):
            pen = "M"
            continue
        place = (x.place(point.time.timestamp()), y.place(point.value))
        steps.append(f"{pen}{place[0]:g} {place[1]:g}")
        pen = "L"
        foot, head = (None if end is None else y.place(end) for end in (point.low, point.high))
        told = f"{line.name}, {tell_time(point.time, times)}: {_told(point, asked)}"
        dots.append(Dot(*place, told, point.marked, zero if zero is not None else foot, head))
    return Drawn(line.name, "".join(steps), tuple(dots))


def _told(point: Point, asked: Asked) -> str:
    tell = percent if asked.unit == "share" else number
    interval = "" if point.low is None or point.high is None else f" [{tell(point.low)}, {tell(point.high)}]"
    note = "; ".join(part for part in ("alarm" if point.marked else "", point.label) if part)
    return f"{tell(point.value)}{interval}" + (f" ({note})" if note else "")


def _x_ticks(times: Sequence[datetime], x: Axis) -> tuple[tuple[float, str, str], ...]:
    """Place, words, and on which side of its place a word stands: the outer ones stay within the drawing."""
    ticks = time_ticks(times, 4)
    sides = ["middle"] * len(ticks)
    if len(ticks) > 1:
        sides[0], sides[-1] = "start", "end"
    return tuple(
        (x.place(time.timestamp()), told, side) for (time, told), side in zip(ticks, sides, strict=True)
    )


def _table(lines: Sequence[Line], times: Sequence[datetime], asked: Asked) -> list[tuple[str, ...]]:
    """The newest window first."""
    cells = [{point.time: _told(point, asked) for point in line.points} for line in lines]
    return [(f"{time:%Y-%m-%d %H:%M}", *(own.get(time, "") for own in cells)) for time in reversed(times)]
