"""What a team promises the users of its model: objectives, each with the share of faults that it may cost."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from tasks.spec.base import Spec
from tasks.spec.metrics import Task

LONGEST_WINDOW_DAYS = 90
SHORTEST_WINDOW_DAYS = 7
"""The slowest burn is seen over three days: a shorter window would be over before it."""

BEST_SHARE = 0.99999
"""With a budget of nothing every fault breaks the objective, so that it warns of nothing."""

LATENCIES = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""The bounds by which the gateway counts latencies for Prometheus, in seconds."""

MOST_DAYS = 3650
LARGEST_ERROR = 1e12


class ObjectiveSpec(Spec):
    """What all objectives have.

    Attributes:
        window_days: Over how many days, back from now, the objective is to hold.
    """

    window_days: int = Field(default=30, ge=SHORTEST_WINDOW_DAYS, le=LONGEST_WINDOW_DAYS)


class AvailabilityObjective(ObjectiveSpec):
    """Which share of the requests has to be answered; what a caller asks for wrongly counts as neither.

    Attributes:
        share: Of the requests that have to be answered.
    """

    share: float = Field(default=0.999, gt=0, le=BEST_SHARE)


class LatencyObjective(ObjectiveSpec):
    """How fast answers have to come: `quantile` of them within `seconds`, as the gateway measures it.

    Attributes:
        seconds: Within which the answers have to come; one of the bounds by which they are counted.
        quantile: Which share of the answers has to come so fast.
    """

    seconds: float = Field(gt=0, le=LATENCIES[-1])
    quantile: float = Field(default=0.99, gt=0, le=BEST_SHARE)

    @field_validator("seconds")
    @classmethod
    def _is_counted(cls, seconds: float) -> float:
        if seconds not in LATENCIES:
            raise ValueError(
                f"answers are counted by {', '.join(f'{each:g}' for each in LATENCIES)} s, not by "
                f"{seconds:g} s; choose one of these"
            )
        return seconds


class FreshnessObjective(ObjectiveSpec):
    """How old what serves may be, counted from its promotion: at most `days`, for `share` of the window.

    Attributes:
        days: How old it may be.
        share: Of the window, for which it may be no older.
    """

    days: float = Field(gt=0, le=MOST_DAYS)
    share: float = Field(default=0.95, gt=0, le=BEST_SHARE)


class AccuracyObjective(ObjectiveSpec):
    """How right answers have to be, by the labels that came back.

    Attributes:
        at_least: Which share of the labelled answers has to be right; of classes.
        at_most: What the mean absolute error may be, in units of the label; of numbers.
    """

    at_least: float | None = Field(default=None, gt=0, le=BEST_SHARE)
    at_most: float | None = Field(default=None, gt=0, le=LARGEST_ERROR)


class SloSpec(Spec):
    """The objectives of a model's service; none that is not named.

    Attributes:
        availability: Which share of the requests is answered.
        latency: How fast answers come.
        freshness: How old what serves may be.
        accuracy: How right the answers are.
    """

    availability: AvailabilityObjective | None = None
    latency: LatencyObjective | None = None
    freshness: FreshnessObjective | None = None
    accuracy: AccuracyObjective | None = None


def faults_of_slo(task: Task, slo: SloSpec) -> Iterator[str]:
    """An accuracy that is told in another measure than the task has."""
    if slo.accuracy is None:
        return
    wanted: Literal["at_least", "at_most"] = "at_most" if task == "regression" else "at_least"
    measure = "the mean absolute error" if task == "regression" else "the share of right answers"
    given = {name for name in ("at_least", "at_most") if getattr(slo.accuracy, name) is not None}
    if given != {wanted}:
        yield f"monitor.slo.accuracy: the task is {task}, so give {wanted} alone, {measure}"
