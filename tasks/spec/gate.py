"""What a team says of judging its model."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.spec.base import FiniteFloat, Rows, Spec
from tasks.spec.fairness import FairnessSpec
from tasks.spec.metrics import MetricName, kind_of

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Policy = Literal["superiority", "non_inferiority", "after_drift"]

ANCHOR_MARGINS = 3


class GateSpec(Spec):
    """The rules by which a candidate is promoted, held or rejected.

    By `policy: superiority` a candidate is promoted if it is shown to be better than the champion; by
    `non_inferiority` if it is shown not to be worse by more than `margin` than the root, which is the last
    version that was shown to be better, so that small steps down do not add up. One that is surely worse, or
    seems worse by more than `margin`, is rejected; what is between is held: the rows do not say. By
    `after_drift` a candidate is promoted if it is shown to be better than the champion on the newest labelled
    rows, and on the anchor not to be worse than the root by `anchor_margin`.

    Attributes:
        primary_metric: The metric that candidate and champion are compared by; one that the model's task has.
        minimum: Absolute thresholds of metrics of which more is better, for every candidate. As `maximum`,
            they are held to by the limit of the metric's 95 % interval that is nearer.
        maximum: The same for metrics of which less is better.
        first_model_minimum: Absolute thresholds for a model that has no champion to beat; they replace
            `minimum`. Without any here or in `first_model_maximum`, a first model is held: nothing says what
            it must reach.
        first_model_maximum: The same for metrics of which less is better.
        policy: `superiority`, or `non_inferiority` where newer data is worth a release by itself. Where
            nothing is said, a training that the drift check asked for is judged by `after_drift`, every other
            by `superiority`.
        false_promotion_rate: The probability, within a year, that any candidate is promoted that is no better
            than its champion (by `non_inferiority`: worse than the root by more than `margin`), however many
            there are.
        margin: The smallest difference that matters, in units of the primary metric: a candidate that seems
            worse by more is rejected, and a hold says how many test rows would show a gain as large. A
            regression has to say it.
        anchor_margin: How much worse than the root a candidate may be on the anchor, and how far the champion
            may fall on new labels before a person is asked; three times `margin` where nothing is said.
        anchor_age_days: After so many days a row that nobody objected to is trusted: it counts as a test row
            though the champion's snapshot has it not, and joins the anchor. With 0 every row does at once.
        slice_margin: How much worse a candidate may seem on a value of the data's `slice_by` column; where it
            is surely worse, it is rejected.
        slice_threshold: What the primary metric must reach on every slice, also of a first model: at least so
            much of a metric of which more is better, else at most. None for no such threshold.
        slice_thresholds: The same for single slices, which then have to be there: `origin=JFK: 0.6`, of bins
            `"distance=[500, 1000)": 0.6`. For them they replace `slice_threshold`.
        minimum_slice_rows: Smaller slices are reported, not judged.
        fairness: How far apart groups of the test rows may be, each a `FairnessSpec`.
        minimum_test_rows: With fewer test rows the verdict is `hold`.
        baseline: What every candidate has to beat: `constant`, which answers every row the same, or `linear`,
            the better one of that and of a logistic or ridge regression on the features.
        minimum_gain_over_baseline: By how much the candidate must be better than the baseline in the primary
            metric, in its units.
        latency_p95_seconds: The slowest that the 95th percentile of one request through the archive may be.
        archive_bytes: The largest archive.
        peak_memory_bytes: The most memory that a process may need that serves the archive; None for no limit.
    """

    primary_metric: MetricName = "accuracy"
    policy: Policy | None = None
    minimum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    maximum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    first_model_minimum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    first_model_maximum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    false_promotion_rate: float = Field(default=0.05, gt=0, le=0.5, allow_inf_nan=False)
    margin: Amount = 0.01
    anchor_margin: Amount | None = None
    anchor_age_days: float = Field(default=30, ge=0, le=3660)
    slice_margin: Amount = 0.03
    slice_threshold: FiniteFloat | None = None
    slice_thresholds: dict[str, FiniteFloat] = Field(default_factory=dict)
    minimum_slice_rows: Rows = 200
    fairness: tuple[FairnessSpec, ...] = ()
    minimum_test_rows: Rows = 200
    baseline: Literal["constant", "linear"] = "constant"
    minimum_gain_over_baseline: Amount = 0.0
    latency_p95_seconds: float = Field(default=0.25, gt=0, allow_inf_nan=False)
    archive_bytes: int = Field(default=500_000_000, gt=0, le=2**50)
    peak_memory_bytes: int | None = Field(default=None, gt=0, le=2**50)

    @model_validator(mode="after")
    def _thresholds_point_the_right_way(self) -> "GateSpec":
        for field, name, _ in self.thresholds():
            right = (
                field.replace("maximum", "minimum")
                if kind_of(name).larger_is_better
                else field.replace("minimum", "maximum")
            )
            if field != right:
                better = "more" if kind_of(name).larger_is_better else "less"
                raise ValueError(f"{field}.{name}: {better} {name} is better; declare it in {right}")
        return self

    @model_validator(mode="after")
    def _thresholds_of_shares_are_shares(self) -> "GateSpec":
        for field, name, value in self.thresholds():
            if kind_of(name).is_share and not 0 <= value <= 1:
                raise ValueError(f"{field}.{name}: {name} is in [0, 1], so {value:g} cannot be its threshold")
        return self

    @model_validator(mode="after")
    def _thresholds_of_slices_can_be_reached(self) -> "GateSpec":
        each = {f"slice_thresholds.{name}": value for name, value in self.slice_thresholds.items()}
        if self.slice_threshold is not None:
            each["slice_threshold"] = self.slice_threshold
        for field, value in each.items():
            if kind_of(self.primary_metric).is_share and not 0 <= value <= 1:
                raise ValueError(
                    f"{field}: {self.primary_metric} is in [0, 1], so {value:g} cannot be its threshold"
                )
        return self

    @model_validator(mode="after")
    def _comparison_asks_something(self) -> "GateSpec":
        kind = kind_of(self.primary_metric)
        if self.policy == "non_inferiority" and self.margin == 0:
            raise ValueError(
                "margin: non_inferiority asks how much worse is still good enough; give it more than 0"
            )
        if self.policy == "after_drift" and self.most_lost_on_anchor == 0:
            raise ValueError(
                "anchor_margin: after_drift asks how much worse is still good enough on the anchor; give it "
                "more than 0"
            )
        if not kind.can_compare:
            raise ValueError(
                f"primary_metric: a useless model can be perfect in {self.primary_metric}; give it a "
                "minimum, and compare by another metric"
            )
        if kind.is_share:
            for field in ("margin", "anchor_margin", "slice_margin", "minimum_gain_over_baseline"):
                if (getattr(self, field) or 0) > 1:
                    raise ValueError(f"{field}: {self.primary_metric} is in [0, 1], so at most 1 is expected")
        return self

    @property
    def most_lost_on_anchor(self) -> float:
        """`anchor_margin`, or what it is where nothing is said."""
        return ANCHOR_MARGINS * self.margin if self.anchor_margin is None else self.anchor_margin

    def thresholds(self) -> Iterator[tuple[str, str, float]]:
        """Every absolute threshold: its field, the metric, the value."""
        for field in ("minimum", "maximum", "first_model_minimum", "first_model_maximum"):
            for name, value in getattr(self, field).items():
                yield field, name, value
