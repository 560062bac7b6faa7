"""What a team says of how alike a model has to treat groups."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.base import Spec
from tasks.spec.metrics import Task

GapMetric = Literal[
    "selection_rate", "true_positive_rate", "false_positive_rate", "accuracy", "mae", "mean_prediction"
]
GAP_METRICS: Mapping[Task, tuple[GapMetric, ...]] = {
    "binary": ("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"),
    "multiclass": ("accuracy",),
    "regression": ("mae", "mean_prediction"),
}
"""By which groups can be compared: whom the model says yes to, of those who deserve it and of those who do
not (demographic parity, equalised odds: Hardt, Price and Srebro, NeurIPS 2016), and how often it is right.
"""


class FairnessSpec(Spec):
    """How far apart the groups of one column may be.

    Attributes:
        column: One of `data.slice_by`, whose slices are the groups; the model need not see it.
        maximum_gap: Of each metric the largest difference between two groups that have `minimum_slice_rows`.
    """

    column: str
    maximum_gap: dict[GapMetric, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(min_length=1)
