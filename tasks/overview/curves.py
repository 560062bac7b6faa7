"""The curves of a training, and how far it is, as the pages show them; a pure function of its record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.contracts import Curve, TrainingCurves
from tasks.overview.axes import Axis, bounds, path_of, round_values
from tasks.provenance.numbers import tell_number
from tasks.training.progress import Goal, Reached, sentence

WIDTH, HEIGHT = 320.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 10.0, 8.0, 24.0
TICKS = 3
ROWS = 20
FAR = 1e9
SILENT_SECONDS = 120.0
"""The step writes at least each half minute: after so long without a word it is gone."""


@dataclass(frozen=True)
class Drawn:
    """One curve.

    Attributes:
        told: Its course in words: where it is, its least and its largest value.
        x, y: Where its newest point is drawn.
        rows: Some of its steps and values, the newest first.
    """

    name: str
    told: str
    path: str
    x: float
    y: float
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str, str], ...]
    rows: tuple[tuple[str, str], ...]
    warning: str = ""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT


@dataclass(frozen=True)
class Training:
    """A training: its curves, how far it is in a sentence, and whether it still says something."""

    run_id: str
    says: str
    at: datetime
    ended: bool
    silent: bool
    unit: str
    curves: tuple[Drawn, ...]


def drawn_of(record: TrainingCurves, now: datetime) -> Training:
    """What is shown of a training."""
    ended, age = record.ended_at is not None, (now - record.at).total_seconds()
    unit = record.unit or "step"
    return Training(
        run_id=record.run_id,
        says=_says(record, age),
        at=record.ended_at or record.at,
        ended=ended,
        silent=not ended and age > SILENT_SECONDS,
        unit=unit,
        curves=tuple(_curve(curve, unit) for curve in record.curves if curve.points or _is_broken(curve)),
    )


def _says(record: TrainingCurves, age: float) -> str:
    """How far it is, as its task's log says it, with the time that is left now; nothing if unknown."""
    if record.unit is None or record.total is None or record.done is None:
        return ""
    left = None if record.seconds_left is None else max(0.0, record.seconds_left - age)
    told = sentence(Goal(record.unit, record.total), Reached(record.done, 0.0), left)
    if record.ended_at is not None:
        told = sentence(Goal(record.unit, record.total), Reached(record.done, 0.0), None)
    return told.removeprefix("Progress: ").capitalize()


def _is_broken(curve: Curve) -> bool:
    return curve.not_a_number_at is not None


def _curve(curve: Curve, unit: str) -> Drawn:
    points = curve.points
    warning = f"Not a number at {unit} {_step(curve.not_a_number_at)}." if _is_broken(curve) else ""
    if not points:
        return Drawn(curve.name, "", "", 0.0, 0.0, (), (), (), warning)
    steps, values = [step for step, _ in points], [value for _, value in points]
    x = Axis(steps[0], steps[-1], LEFT + 6, WIDTH - RIGHT - 6)
    low, high = bounds(values)
    y = Axis(low, high, HEIGHT - BOTTOM, TOP)
    places = [(x.place(step), y.place(value)) for step, value in points]
    return Drawn(
        name=curve.name,
        told=_told(points, unit),
        path=path_of(places) if len(places) > 1 else "",
        x=places[-1][0],
        y=places[-1][1],
        y_ticks=tuple((y.place(value), _value(value)) for value in round_values(low, high, TICKS)),
        x_ticks=_x_ticks(steps, x, unit),
        rows=tuple((_step(step), _value(value)) for step, value in _some(points)),
        warning=warning,
    )


def _told(points: Sequence[tuple[float, float]], unit: str) -> str:
    (last, value), values = points[-1], [value for _, value in points]
    least, most = _value(min(values)), _value(max(values))
    return f"{_value(value)} at {unit} {_step(last)}; from {least} to {most}"


def _x_ticks(steps: Sequence[float], x: Axis, unit: str) -> tuple[tuple[float, str, str], ...]:
    first = (x.place(steps[0]), f"{unit} {_step(steps[0])}", "start")
    return (first,) if steps[-1] == steps[0] else (first, (x.place(steps[-1]), _step(steps[-1]), "end"))


def _some(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Some of the points, as far apart as can be, the newest first."""
    apart = -(-len(points) // ROWS)
    return list(points[::-1][::apart])


def _step(step: float | None) -> str:
    if step is None:
        return ""
    whole = step == round(step) and abs(step) < FAR
    return f"{step:,.0f}" if whole else _value(step)


def _value(value: float) -> str:
    """As numbers are told, and one that would be a line of digits by its power of ten."""
    return tell_number(value) if abs(value) < FAR else f"{value:.3g}"
