"""What a team says of judging its model."""

from pydantic import Field

from tasks.spec.base import FiniteFloat, MetricName, Rows, Share, Spec


class GateSpec(Spec):
    """The rules by which a candidate is promoted, held or rejected. Every share is in [0, 1].

    A difference that is below its limit, or surely below zero while its interval reaches below the limit,
    rejects; an interval that merely reaches below the limit holds: there are too few rows to say.

    Attributes:
        primary_metric: The metric that candidate and champion are compared by.
        minimum: Absolute thresholds by metric, for every candidate.
        first_model_minimum: Absolute thresholds for a model that has no champion to beat; they replace
            `minimum`. Without any, a first model is held: nothing says what it must reach.
        margin: How much worse than the champion a candidate may be, in units of the primary metric: the
            paired difference's lower 95 % limit must not lie below `-margin`.
        slice_margin: The same for each value of the data's `slice_by` column.
        minimum_slice_rows: Smaller slices are reported, not judged.
        minimum_test_rows: With fewer test rows the verdict is `hold`.
        minimum_gain_over_baseline: By how much the candidate must beat the simple baseline in the primary
            metric.
        latency_p95_seconds: The slowest that the 95th percentile of one request through the archive may be.
        archive_bytes: The largest archive.
    """

    primary_metric: MetricName = "accuracy"
    minimum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    first_model_minimum: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    margin: Share = 0.01
    slice_margin: Share = 0.03
    minimum_slice_rows: Rows = 200
    minimum_test_rows: Rows = 200
    minimum_gain_over_baseline: Share = 0.0
    latency_p95_seconds: float = Field(default=0.25, gt=0, allow_inf_nan=False)
    archive_bytes: int = Field(default=500_000_000, gt=0)
