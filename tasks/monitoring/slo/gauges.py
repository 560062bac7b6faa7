"""A model's figures as numbers with names and tags, for Prometheus. Pure."""

from collections.abc import Iterator
from typing import NamedTuple, get_args

from tasks.contracts import ModelFigures, Objective, State

EVERY_MINUTES = 5
"""How often they are told; after three times that the exporter forgets them (statsd.yaml of the profile)."""


class Gauge(NamedTuple):
    """One number; no value is below 0, which StatsD would take for a change of the one before."""

    name: str
    value: float
    tags: dict[str, str]


def gauges_of(figures: ModelFigures) -> Iterator[Gauge]:
    """Everything that is told of a model; what is not known is left out."""
    of = {"model": figures.model}
    yield Gauge("model_looked_at_seconds", figures.at.timestamp(), of)
    if figures.model_version is not None:
        # The exporter keeps the version before for a while: the newest of these is what serves.
        tags = of | {"model_version": figures.model_version}
        yield Gauge("model_served_at_seconds", figures.at.timestamp(), tags)
    if figures.promoted_at is not None:
        yield Gauge("model_promoted_at_seconds", figures.promoted_at.timestamp(), of)
    if figures.checked_at is not None:
        yield Gauge("model_checked_at_seconds", figures.checked_at.timestamp(), of)
    if figures.state is not None:
        for state in get_args(State):
            yield Gauge("model_state", float(state == figures.state), of | {"state": state})
    yield Gauge("model_labelled", figures.labelled, of)
    if figures.accuracy is not None:
        for bound in ("value", "low", "high"):
            number = max(0.0, getattr(figures.accuracy, bound))
            yield Gauge("model_accuracy", number, of | {"bound": bound})
    if figures.latency_seconds is not None:
        # As Prometheus' client writes the bounds of a histogram: rules join both by this label.
        yield Gauge("objective_latency_bound", 1, of | {"le": repr(float(figures.latency_seconds))})
    for objective in figures.objectives:
        yield from _of_objective(objective, of | {"objective": objective.name})


def _of_objective(objective: Objective, of: dict[str, str]) -> Iterator[Gauge]:
    yield Gauge("objective_target", objective.target, of)
    yield Gauge("objective_window_days", objective.window_days, of)
    yield Gauge("objective_missed", float(objective.kept == "missed"), of)
    if objective.value is not None:
        yield Gauge("objective_value", max(0.0, objective.value.value), of)
    if objective.budget_left is not None:
        yield Gauge("objective_budget_spent", max(0.0, 1 - objective.budget_left), of)
