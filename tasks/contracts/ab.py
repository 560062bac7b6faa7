"""What is said of a comparison of two versions at fixed weights (A/B), for a declared number of labels."""

from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.contracts.contract import Contract
from tasks.contracts.serving import Route

MOST_LABELS = 100_000
"""As many labelled predictions the gateway tells at a time."""


class Comparison(Contract):
    """Two versions that answer a model's requests side by side.

    Attributes:
        share: Of the requests, answered by the candidate; drawn for each request by itself.
        labels: So many labelled answers, of both versions together, were declared to be compared.
    """

    comparison_id: str
    model: str
    share: float = Field(gt=0, lt=1)
    labels: int = Field(ge=100, le=MOST_LABELS)
    opened_at: AwareDatetime
    stable: Route
    candidate: Route


class Side(Contract):
    """The labelled answers of one version.

    Attributes:
        loss: The sum of their losses: of classes 1 for a wrong answer, of a number its absolute error. An
            answer counts for its part of its request, as the answers of one request depend on each other.
        squares: The sum of the squares of these, counted likewise.
        requests: The sum of these parts; None where each answer was taken for a request of its own.
    """

    version: str
    rows: int = 0
    loss: float = 0.0
    squares: float = 0.0
    requests: float | None = None


class ComparisonReport(Contract):
    """Which of the two is better, on labels.

    Attributes:
        reached: Whether the declared number of labels is there; before it nothing else is said.
        difference: The candidate's mean loss less the stable version's, with its 95 % interval: below 0 where
            the candidate is better. Of classes a difference of shares, of numbers one of absolute errors.
        better: The number of the version that is better; None where neither is shown to be.
    """

    comparison: Comparison
    reached: bool
    labelled: int
    stable: Side | None = None
    candidate: Side | None = None
    of: Literal["share wrong", "absolute error"] | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    better: str | None = None
    why: str
