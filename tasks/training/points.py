"""Which curves of a training are shown while it runs, and a few points of each; pure functions."""

import math
from collections.abc import Iterable, Sequence

from tasks.contracts import Curve
from tasks.training.progress import DONE, Logged

MOST_CURVES = 6
MOST_POINTS = 200
DIGITS = 7
"""As many as a float of 32 bits has."""
OF_THE_MACHINE = "system/"
LARGEST = 1e300
"""MLflow keeps an infinite value as the largest of its database."""

Points = list[tuple[float, float]]


def chosen(metrics: Iterable[Logged]) -> list[str]:
    """The metrics whose curves are shown: the losses first, and those of TensorBoard's logs last."""
    counters = {name for names in DONE.values() for name in names}
    names = {each.name for each in metrics if not each.name.startswith(OF_THE_MACHINE)}
    shown = [name for name in names if _last(name) not in counters]
    return sorted(shown, key=lambda name: (name.startswith("tensorboard/"), "loss" not in _last(name), name))[
        :MOST_CURVES
    ]


def curve_of(name: str, logged: Iterable[Logged]) -> Curve:
    """A curve from everything that was logged of it, in the order of time.

    A value at an earlier step than one before it is a summary, as `log_metrics(best)` after the last epoch,
    and no point of the curve. Values that were all logged without a step are numbered.
    """
    values = sorted(logged, key=lambda each: (each.at, each.step))
    if not any(each.step for each in values):
        steps: Iterable[float] = range(1, len(values) + 1)
    else:
        values = [each for each, so_far in zip(values, _highest(values), strict=True) if each.step >= so_far]
        steps = [each.step for each in values]
    placed = {float(step): each.value for step, each in zip(steps, values, strict=True)}
    return made(name, list(placed.items()))


def made(name: str, values: Sequence[tuple[float, float]]) -> Curve:
    """A curve of steps and values, some of which may be no numbers."""
    broken = next((step for step, value in values if not _is_number(value)), None)
    points = thinned([(step, float(f"{value:.{DIGITS}g}")) for step, value in values if _is_number(value)])
    return Curve(name=name, points=tuple(points), not_a_number_at=broken)


def thinned(points: Points) -> Points:
    """Every second point, or every fourth, until they are few enough, and always the newest."""
    while len(points) > MOST_POINTS:
        points = [*points[:-1:2], points[-1]]
    return points


def continued(curve: Curve, newest: Logged) -> Curve:
    """A curve with one more point, where that comes after its last one."""
    if curve.points and newest.step <= curve.points[-1][0]:
        return curve
    longer = made(curve.name, [*curve.points, (float(newest.step), newest.value)])
    return longer.model_copy(
        update={
            "not_a_number_at": longer.not_a_number_at
            if curve.not_a_number_at is None
            else curve.not_a_number_at
        }
    )


def _highest(values: Sequence[Logged]) -> Iterable[int]:
    highest = values[0].step if values else 0
    for each in values:
        highest = max(highest, each.step)
        yield highest


def _is_number(value: float) -> bool:
    return math.isfinite(value) and abs(value) < LARGEST


def _last(name: str) -> str:
    return name.rpartition("/")[2]
