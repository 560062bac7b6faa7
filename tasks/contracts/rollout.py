"""What the gateway is told of a rollout, and what it has seen of each version meanwhile."""

from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.contracts.contract import Contract
from tasks.contracts.serving import Route

Role = Literal["stable", "candidate"]


class TrafficSplit(Contract):
    """Which part of a model's requests a second version answers, or sees a copy of, beside what serves.

    Attributes:
        release_id: Of the rollout that it belongs to; which callers fall to the candidate is drawn by it, so
            that another rollout draws others.
        kind: `canary` and `shadow` of a release, `ab` of a comparison.
        candidate: The second version.
        share: Of the requests, answered by the candidate.
        shadow_share: Of the requests that the stable version answers, copied to the candidate.
        sticky_by: What keeps a caller at one version: `sender` (the token's name), `header:<name>`, or empty
            for a draw at each request.
    """

    release_id: str
    kind: Literal["canary", "shadow", "ab"]
    candidate: Route
    share: float = Field(default=0.0, ge=0, le=1)
    shadow_share: float = Field(default=0.0, ge=0, le=1)
    sticky_by: str = ""


class VersionOutcomes(Contract):
    """What became of the requests that one version was given in a window of time.

    Attributes:
        role: As which it was asked; None of what no draw gave to it, and in rows of an earlier Perennial.
        answered: Requests that it answered.
        failed: Requests that it did not answer, through no fault of the caller's.
        latency_buckets: How many answers took at most so many seconds, for each bound, cumulative.
        predictions: How often it gave each answer, as JSON, in requests: an instance counts for its part of
            its request. The most frequent hundred.
        reasons: Why it did not answer, as the gateway noted it, and how often; the most frequent three.
    """

    model_version: str
    run_id: str
    role: Role | None
    answered: int
    failed: int
    latency_buckets: dict[str, int]
    predictions: dict[str, float]
    reasons: dict[str, int] = Field(default_factory=dict)


class ShadowOutcomes(Contract):
    """What a version would have said, beside what the callers were told; a copy of an instance counts for its
    part of its request.

    Attributes:
        compared: Copies that it answered.
        agreed: Of these, where it said what the caller was told.
        failed: Copies that it did not answer.
        dropped: Copies that were not sent, because too many were under way.
        reasons: Why it did not answer copies, and how often; the most frequent three.
    """

    model_version: str
    run_id: str
    compared: float
    agreed: float
    failed: int
    dropped: int
    latency_buckets: dict[str, int]
    predictions: dict[str, float]
    reasons: dict[str, int] = Field(default_factory=dict)


class Labelled(Contract):
    """One answered prediction with its newest label, both as JSON values.

    Attributes:
        instances: How many its request had.
    """

    prediction_id: str
    model_version: str
    run_id: str
    role: Role | None
    features: dict[str, object]
    prediction: object
    score: float | None
    label: object
    received_at: AwareDatetime
    instances: int = Field(default=1, ge=1)


class SlicedColumn(Contract):
    """A feature whose values are slices; of numbers with `edges` the bins between these."""

    column: str
    edges: tuple[float, ...] = ()


class LossRule(Contract):
    """What the gateway counts of labelled answers.

    Attributes:
        largest_error: Of numbers: the loss is the absolute error in units of this, at most 1. None of
            classes: 1 for a wrong answer.
    """

    largest_error: float | None = None
    slices: tuple[SlicedColumn, ...] = ()


class VersionLosses(Contract):
    """The losses of one version's labelled answers, of all or of one slice.

    Attributes:
        slice: The place of its column in the rule; None for all answers.
        value: The feature's value, or the number of its bin; None where it has none.
        labelled: In requests: an instance counts for its part of its request.
        loss: The sum of their losses, each in [0, 1].
    """

    model_version: str
    run_id: str
    role: Role | None
    slice: int | None = None
    value: object = None
    labelled: float
    loss: float


class Outcomes(Contract):
    """What the gateway has seen of a model since a time.

    Attributes:
        labelled: Predictions of that time with a label; at most as many as were asked for, oldest first.
        losses: Of all predictions of that time with a label, where a rule was given; of each column the
            hundred most frequent slices.
    """

    model: str
    since: AwareDatetime
    until: AwareDatetime
    versions: tuple[VersionOutcomes, ...]
    shadows: tuple[ShadowOutcomes, ...]
    labelled: tuple[Labelled, ...] = ()
    losses: tuple[VersionLosses, ...] = ()
