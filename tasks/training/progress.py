"""How far a training is and how long it will still take, from what it logs to MLflow.

A parameter says how much there is (`epochs`), and a metric how much is done: one that is called
`epoch`, or else the step that the metrics were logged at. Where neither says so, nothing is told: a
wrong time is worse than none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TOTALS = {
    "epoch": ("epochs", "max_epochs", "num_epochs", "n_epochs", "num_train_epochs"),
    "step": ("steps", "max_steps", "num_steps", "total_steps", "iterations", "max_iterations"),
}
"""The parameters by which programs say how long they train, in the field's words."""
MOST = 2**53
"""A larger number (or `.inf`) says no end: nobody waits for it, and it is not counted exactly."""
DONE = {"epoch": ("epoch",), "step": ("step", "global_step", "iteration")}
NOT_OF_THE_PROGRAM = ("system/", "tensorboard/")
"""Metrics whose own steps count samples of the machine, or batches."""


@dataclass(frozen=True)
class Logged:
    """The newest value of a metric; `at` in seconds since 1970."""

    name: str
    value: float
    step: int
    at: float


@dataclass(frozen=True)
class Goal:
    """What a training counts in, and up to where."""

    unit: str
    total: float


@dataclass(frozen=True)
class Reached:
    """So much was done at a moment, in seconds since 1970."""

    done: float
    at: float


def goal_of(parameters: Mapping[str, object]) -> Goal | None:
    """Up to where the training goes by its parameters; None where they do not say it."""
    for unit, names in TOTALS.items():
        for name in names:
            total = parameters.get(name)
            if isinstance(total, int | float) and 0 < total <= MOST:
                return Goal(unit, float(total))
    return None


def reached(goal: Goal, metrics: Iterable[Logged]) -> Reached | None:
    """How much is done; None where the metrics do not say it."""
    logged = list(metrics)
    named = [each for each in logged if each.name.rpartition("/")[2] in DONE[goal.unit]]
    if named:
        newest = max(named, key=lambda each: each.at)
        return Reached(newest.value, newest.at) if 0 <= newest.value <= goal.total else None
    own = [each for each in logged if not each.name.startswith(NOT_OF_THE_PROGRAM)]
    newest_step = max(own, key=lambda each: each.step, default=None)
    if newest_step is None or not 0 < newest_step.step <= goal.total:
        return None
    return Reached(float(newest_step.step), newest_step.at)


def seconds_left(goal: Goal, begun: Reached, newest: Reached, now: float) -> float | None:
    """How long the rest takes at the pace so far; None where there is no pace yet.

    Args:
        begun: From where the pace is measured: the first that was seen to be done, or the training's start.
    """
    done, seconds = newest.done - begun.done, newest.at - begun.at
    if done <= 0 or seconds <= 0:
        return None
    return max(0.0, (goal.total - newest.done) * seconds / done - max(0.0, now - newest.at))


def sentence(goal: Goal, newest: Reached, left: float | None) -> str:
    """The line of the task's log. A training that stops early takes less, so the time is told as the most."""
    told = f"Progress: {goal.unit} {_number(newest.done)} of {_number(goal.total)}"
    if newest.done >= goal.total:
        return f"{told}, the last."
    return told + ("." if left is None else f", at most about {duration(left)} left.")


def duration(seconds: float) -> str:
    """As a person says it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
