"""The metrics by which a model can be judged: which tasks they are for, and which way is better."""

from dataclasses import dataclass
from typing import Literal, get_args

Task = Literal["binary", "multiclass", "regression"]

MetricName = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1",
    "macro_f1",
    "precision",
    "recall",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "rmse",
    "mae",
    "median_absolute_error",
    "r2",
]


@dataclass(frozen=True)
class MetricKind:
    """What a metric is for, whether a larger value of it is better, and whether it is a share, in [0, 1]."""

    tasks: tuple[Task, ...]
    larger_is_better: bool = True
    is_share: bool = True

    @property
    def sign(self) -> int:
        """What a difference is multiplied by, so that more is better."""
        return 1 if self.larger_is_better else -1


METRICS: dict[str, MetricKind] = {
    "accuracy": MetricKind(("binary", "multiclass")),
    "balanced_accuracy": MetricKind(("binary", "multiclass")),
    "f1": MetricKind(("binary",)),
    "macro_f1": MetricKind(("multiclass",)),
    "precision": MetricKind(("binary",)),
    "recall": MetricKind(("binary",)),
    "roc_auc": MetricKind(("binary",)),
    "average_precision": MetricKind(("binary",)),
    "log_loss": MetricKind(("binary", "multiclass"), larger_is_better=False, is_share=False),
    "brier": MetricKind(("binary",), larger_is_better=False),
    "rmse": MetricKind(("regression",), larger_is_better=False, is_share=False),
    "mae": MetricKind(("regression",), larger_is_better=False, is_share=False),
    "median_absolute_error": MetricKind(("regression",), larger_is_better=False, is_share=False),
    "r2": MetricKind(("regression",), is_share=False),
}
"""`rmse`, `mae` and `median_absolute_error` are in units of the label; every other has none."""

DEFAULT_METRIC: dict[Task, MetricName] = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "regression": "rmse",
}


def metrics_of(task: Task) -> tuple[MetricName, ...]:
    """The metrics that a task has, in the order in which they are told."""
    return tuple(name for name in get_args(MetricName) if task in METRICS[name].tasks)
