"""What is known of the objectives of a model's service."""

from typing import Literal

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract
from tasks.contracts.monitoring import State

ObjectiveName = Literal["availability", "latency", "freshness", "accuracy"]
Burning = Literal["no", "slowly", "fast"]
Kept = Literal["kept", "missed", "cannot_tell"]


class Estimate(Contract):
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


class WindowCounts(Contract):
    """What became of a model's requests between `since` and now.

    Attributes:
        slow: Of the answered ones, those that took longer than was asked about.
        failed: Not answered, through no fault of the caller's.
    """

    since: AwareDatetime
    answered: int
    slow: int
    failed: int


class LabelledCounts(Contract):
    """How right labelled answers are.

    Attributes:
        model_version: None of all versions together.
        right: Which share is what the label says; None of none.
        error: The mean absolute error, of numbers; None of fewer than two.
    """

    model_version: str | None
    labelled: int
    right: Estimate | None
    error: Estimate | None


class ObjectiveCounts(Contract):
    """What the gateway has counted of a model, for its objectives."""

    model: str
    until: AwareDatetime
    windows: tuple[WindowCounts, ...]
    labelled: tuple[LabelledCounts, ...]


class BurnRate(Contract):
    """How fast the budget is spent over a window of time: 1 spends it in exactly the objective's window.

    Attributes:
        rate: None where there was no request.
        bad: What spent it, in requests.
    """

    hours: float
    rate: float | None
    bad: int


class Objective(Contract):
    """How an objective stands.

    Attributes:
        target: What was promised: a share of what has to be good, or of numbers the largest mean error.
        total, good: Requests, labelled answers, or seconds; None where nobody counts them.
        value: What it was, in the unit of `target`; None where nothing was seen.
        budget_left: Which part of the faults that are allowed is left: 1 all, 0 none, below 0 overspent.
        burns: How fast it is spent, for requests only.
        troubled_since: Since when somebody should know of it, as far as was looked; None where nobody need.
        why: A sentence for people.
    """

    name: ObjectiveName
    promise: str
    target: float
    window_days: int
    total: float | None
    good: float | None
    value: Estimate | None
    budget_left: float | None
    burning: Burning
    burns: tuple[BurnRate, ...]
    kept: Kept
    why: str
    troubled_since: AwareDatetime | None = None

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should know now: it is missed, or its budget is spent fast."""
        return self.kept == "missed" or self.burning == "fast"


class ModelFigures(Contract):
    """What is known of a model at a glance, for the Models page, `perennial status` and Prometheus.

    Attributes:
        at: When it was looked at.
        model_version: What serves, by the ledger; None where nothing does.
        serving_since: Since when that version serves.
        promoted_at: When it was promoted, from which its age is counted.
        state: In which state the drift machine is; None before the first check.
        checked_at: When its newest check was.
        labelled: Labelled answers of the version that serves, and how right they are: of classes the share,
            of numbers the mean absolute error.
        latency_seconds: The bound that the objective of latency names.
    """

    model: str
    at: AwareDatetime
    model_version: str | None
    serving_since: AwareDatetime | None
    promoted_at: AwareDatetime | None
    state: State | None
    checked_at: AwareDatetime | None
    labelled: int
    accuracy: Estimate | None
    latency_seconds: float | None
    objectives: tuple[Objective, ...]
