"""What `perennial status` says of the models' objectives."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli import show
from cli.times import short

if TYPE_CHECKING:
    from tasks.contracts import ModelFigures

OLD = timedelta(minutes=15)
"""The platform looks each fifth minute."""


def faults(figures: "Iterable[ModelFigures]") -> Iterator[str]:
    """The objectives that are missed, or whose budget is spent so fast that somebody has to look now."""
    for each in figures:
        for objective in each.objectives:
            if objective.kept == "missed":
                yield f"{each.model} misses its objective that {objective.promise}."
            elif objective.burning == "fast":
                yield f"{each.model} is about to miss its objective that {objective.promise}."


def tell(figures: "Iterable[ModelFigures]", now: datetime) -> None:
    """A line an objective, with what is left of its budget."""
    for each in figures:
        old = f" (as of {short(each.at)}: does reconcile_ledger run?)" if now - each.at > OLD else ""
        for objective in each.objectives:
            show.tell(f"Objective: {each.model}: {objective.promise}. {objective.why}{old}")
