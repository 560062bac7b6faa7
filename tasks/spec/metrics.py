"""The metrics by which a model can be judged: which tasks they are for, and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

Task = Literal["binary", "multiclass", "regression"]

RECALL_OF = "recall."
"""`recall.<class>` is how many rows of one class of a multiclass model are found."""


@dataclass(frozen=True)
class MetricKind:
    """What is known of a metric before anything is measured.

    Attributes:
        tasks: The tasks that have it.
        larger_is_better: False for losses and errors.
        is_share: Whether it is in [0, 1].
        in_label_units: Whether it is in units of the label.
        can_compare: Whether models can be compared by it alone. By a recall they cannot, because a model that
            says yes to every row is perfect in it; nor by precision, in which one is that says yes to its
            surest row alone; nor by the calibration error, in which one is that answers every row with the
            shares of the labels.
    """

    tasks: tuple[Task, ...]
    larger_is_better: bool = True
    is_share: bool = True
    in_label_units: bool = False
    can_compare: bool = True

    @property
    def sign(self) -> int:
        """What a difference is multiplied by, so that more is better."""
        return 1 if self.larger_is_better else -1


_ERROR = MetricKind(("regression",), larger_is_better=False, is_share=False, in_label_units=True)
_RECALL_OF_A_CLASS = MetricKind(("multiclass",), can_compare=False)
METRICS: Mapping[str, MetricKind] = {
    "accuracy": MetricKind(("binary", "multiclass")),
    "balanced_accuracy": MetricKind(("binary", "multiclass")),
    "f1": MetricKind(("binary",)),
    "macro_f1": MetricKind(("multiclass",)),
    "precision": MetricKind(("binary",), can_compare=False),
    "recall": MetricKind(("binary",), can_compare=False),
    "roc_auc": MetricKind(("binary",)),
    "average_precision": MetricKind(("binary",)),
    "log_loss": MetricKind(("binary", "multiclass"), larger_is_better=False, is_share=False),
    "brier": MetricKind(("binary",), larger_is_better=False),
    "calibration_error": MetricKind(("binary", "multiclass"), larger_is_better=False, can_compare=False),
    "rmse": _ERROR,
    "mae": _ERROR,
    "median_absolute_error": _ERROR,
    "r2": MetricKind(("regression",), is_share=False),
}
"""The one table of metrics. Beside them a multiclass model has `recall.<class>` for each class."""

DEFAULT_METRIC: Mapping[Task, str] = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "regression": "rmse",
}


def metrics_of(task: Task) -> tuple[str, ...]:
    """The metrics that a task has, in the order in which they are told, without those of single classes."""
    return tuple(name for name, kind in METRICS.items() if task in kind.tasks)


def kind_of(name: str) -> MetricKind:
    """What is known of a metric.

    Raises:
        ValueError: There is no metric of that name.
    """
    if name.startswith(RECALL_OF) and name != RECALL_OF:
        return _RECALL_OF_A_CLASS
    if name not in METRICS:
        raise ValueError(f"{name!r} is none of the metrics {', '.join(METRICS)}, {RECALL_OF}<class>")
    return METRICS[name]


def _known(name: str) -> str:
    kind_of(name)
    return name


MetricName = Annotated[str, AfterValidator(_known)]
