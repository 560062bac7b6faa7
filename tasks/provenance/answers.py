"""What an archive answers to the frozen rows.

Both archives are asked here, in the same batches: the same weights answer the same row with other last digits
in a batch of another size, and the evaluation that was recorded also had rows of the anchor in its batches.
"""

import json
from pathlib import Path

import numpy as np

from tasks.contracts import DataSnapshot
from tasks.evaluation import metrics
from tasks.evaluation.answers import Judged
from tasks.evaluation.evaluate import answer_columns
from tasks.evaluation.frozen_rows import freeze
from tasks.evaluation.scoring import score
from tasks.provenance.decide import Answered
from tasks.spec import PipelineSpec, metrics_of


def ask(
    archive: Path, spec: PipelineSpec, snapshot: DataSnapshot, folder: Path
) -> tuple[Answered, dict[str, float]]:
    """The answers of an archive to the whole test part, and the metrics of its task that they define.

    Args:
        folder: To work in.

    Raises:
        FrozenSetMismatch: The test part is not the one that the snapshot froze.
        InvalidProject, ServingError: The archive cannot be scored.
    """
    frozen = freeze(spec, snapshot.train, snapshot.test, folder)
    judged = Judged.of(score(archive, frozen.path, spec.data.features, latency_samples=0), frozen.target)
    columns = {name: column.to_pylist() for name, column in answer_columns(judged, frozen.target)}
    measured = metrics.measure(metrics_of(spec.task), frozen.target, frozen.truth, judged.answers)
    return _answered(columns), {metric.name: metric.value for metric in measured.metrics}


def _answered(columns: dict[str, list[object]]) -> Answered:
    """Labels are kept as texts, a regression's predictions as numbers."""
    predictions = columns["prediction"]
    if "score" not in columns:
        return Answered(None, _numbers(predictions).reshape(-1, 1))
    numbers = [_numbers(columns["score"])]
    if "scores" in columns:
        numbers += _by_class([json.loads(str(text)) or {} for text in columns["scores"]])
    return Answered(tuple(map(str, predictions)), np.column_stack(numbers))


def _by_class(rows: list[dict[str, object]]) -> list["np.ndarray"]:
    classes = sorted({name for row in rows for name in row})
    return [_numbers([row.get(name) for row in rows]) for name in classes]


def _numbers(values: list[object]) -> "np.ndarray":
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
