"""Hold what an archive answers against what its training measured, on the rows that decided when to stop.

The two prepare rows by different programs, the training program and the handler. Where these do not agree,
the model serves worse than it was trained, without an error.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import AsTrained, SnapshotPart
from tasks.evaluation import metrics
from tasks.evaluation.answers import Judged, Target
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.scoring import Scores
from tasks.spec import PipelineSpec, metrics_of
from tasks.stores.parts import read_part

PREFIX = "best_validation_"
"""Before the name of a metric: what a training program logs of the weights that it saved."""


class Reported(NamedTuple):
    """A metric of the validation rows, as the training program measured it."""

    metric: str
    value: float


def reported(spec: PipelineSpec, logged: Mapping[str, float]) -> Reported | None:
    """The primary metric if the training program logged it, else the first of the task's that it did log."""
    for name in dict.fromkeys((spec.gate.primary_metric, *metrics_of(spec.task))):
        value = logged.get(f"{PREFIX}{name}")
        if value is not None and isfinite(value):
            return Reported(name, value)
    return None


def rows_of_both(spec: PipelineSpec, frozen: Frozen, validation: SnapshotPart, folder: Path) -> Path:
    """The features of the frozen rows, and behind them those of the validation rows, in one file: scoring
    starts a process, which takes longer than the rows do.
    """
    path, columns = folder / "frozen-and-validation.parquet", list(spec.data.features)
    both = [frozen.rows.select(columns), read_part(validation).select(columns)]
    pq.write_table(pa.concat_tables(both, promote_options="permissive"), path)
    return path


def compare(
    spec: PipelineSpec, frozen: Frozen, validation: SnapshotPart, trained: Reported, raw: Scores
) -> AsTrained:
    """The same metric of an archive's answers to the validation rows.

    Args:
        raw: The answers to the validation rows.
    """
    labels = read_part(validation)[spec.data.label].to_pylist()
    target = _target(frozen.target, labels)
    judged = Judged.of(raw, target)
    measured = metrics.measure([trained.metric], target, target.encode(labels), judged.answers).metrics
    served = measured[0].value if measured else None
    return AsTrained(metric=trained.metric, rows=len(labels), trained=trained.value, served=served)


def _target(frozen: Target, labels: Sequence[Any]) -> Target:
    """The classes of the frozen rows, and behind them those that only the validation rows have."""
    if frozen.task == "regression":
        return frozen
    return Target(frozen.task, tuple(dict.fromkeys((*frozen.classes, *labels))))
