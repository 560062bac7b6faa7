"""A forest plot: estimates with their intervals on one axis, as places in a drawing.

Source: Lewis and Clarke, Forest plots: trying to see the wood and the trees, BMJ 322:1479 (2001).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.contracts import EvaluationReport, Metric, PairedDifference

WIDTH, LEFT, ROW = 760, 250, 28
RIGHT = 170
TICKS = 5


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; `kind` chooses the colour."""

    label: str
    value: float
    low: float
    high: float
    kind: str = ""

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, (self.value, self.low, self.high)))

    @property
    def told(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]" if self.is_finite else "not defined"


@dataclass(frozen=True)
class Mark:
    """Where an estimate is drawn; `x`, `low` and `high` are None where it is not a number."""

    estimate: Estimate
    y: float
    x: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forest:
    """A drawing: its marks, ticks as place and text, and the place of zero where that is on the axis."""

    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float | None
    height: float
    width: float = WIDTH


def forest(estimates: Sequence[Estimate], *, with_zero: bool = False) -> Forest | None:
    """Lay estimates out below each other; None where none of them is a number.

    Args:
        with_zero: Whether the axis has to show zero, as it does for differences.
    """
    bounds = [end for each in estimates if each.is_finite for end in (each.low, each.high)]
    if not bounds:
        return None
    first, last = min([*bounds, 0.0] if with_zero else bounds), max([*bounds, 0.0] if with_zero else bounds)
    room = (last - first) * 0.06 or abs(first) * 0.01 or 0.01
    first, last = first - room, last + room

    def place(value: float) -> float:
        return round(LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    marks = tuple(_mark(each, ROW * (number + 0.5), place) for number, each in enumerate(estimates))
    values = [first + (last - first) * number / (TICKS - 1) for number in range(TICKS)]
    return Forest(
        marks=marks,
        ticks=tuple((place(value), f"{value:.3g}") for value in values),
        zero=place(0.0) if with_zero else None,
        height=ROW * len(estimates) + 30,
    )


def _mark(estimate: Estimate, y: float, place: Callable[[float], float]) -> Mark:
    if not estimate.is_finite:
        return Mark(estimate, y, None, None, None)
    return Mark(estimate, y, place(estimate.value), place(estimate.low), place(estimate.high))


def scores_of(report: EvaluationReport) -> list[Estimate]:
    """The primary metric of candidate, champion, root and baseline."""
    models = [report.candidate, report.champion, report.root, report.baseline]
    found = [(model, _metric(model.metrics, report.primary_metric)) for model in models if model is not None]
    return [_estimate(f"{model.role}: {model.name}", metric, model.role) for model, metric in found if metric]


def differences_of(report: EvaluationReport) -> list[Estimate]:
    """Candidate minus champion, on all rows, each slice, the anchor and the newest rows; then minus root."""
    found = [_difference(each, "champion", _slice(each)) for each in report.differences]
    sets = {"anchor": report.sets.anchor.score, "newest": report.sets.newest} if report.sets else {}
    for name, score in sets.items():
        if score is not None and score.to_champion is not None:
            found.append(_difference(score.to_champion, "champion", name))
    root = report.root_difference
    return [*found, *([_difference(root, "root", "all rows")] if root else [])]


def slices_of(report: EvaluationReport) -> list[Estimate]:
    """The primary metric of the candidate on each slice."""
    return [
        _estimate(f"{each.column} = {each.value} ({each.rows} rows)", each.metric, "candidate")
        for each in report.candidate.slices
    ]


def _metric(metrics: Sequence[Metric], name: str) -> Metric | None:
    return next((metric for metric in metrics if metric.name == name), None)


def _estimate(label: str, metric: Metric, kind: str) -> Estimate:
    return Estimate(label, metric.value, metric.low, metric.high, kind)


def _slice(found: PairedDifference) -> str:
    return "all rows" if found.slice_value is None else f"slice {found.slice_value}"


def _difference(found: PairedDifference, against: str, where: str) -> Estimate:
    label = f"minus {against}, {where} ({found.rows} rows)"
    return Estimate(label, found.difference, found.low, found.high, "difference")
