"""What a version answered to the frozen rows when it was judged, and what its reproduction answers."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tasks.contracts import DataSnapshot
from tasks.evaluation import metrics
from tasks.evaluation.answers import Judged
from tasks.evaluation.evaluate import answer_columns
from tasks.evaluation.frozen_rows import freeze
from tasks.evaluation.scoring import score
from tasks.provenance.decide import Answered
from tasks.spec import PipelineSpec

CANDIDATE = "candidate_"


def recorded(path: Path) -> Answered:
    """Those of the evaluation's answers.parquet."""
    table = pq.read_table(path)
    columns = {
        name.removeprefix(CANDIDATE): table[name].to_pylist()
        for name in table.column_names
        if name.startswith(CANDIDATE)
    }
    return _answered(columns)


def ask(
    archive: Path, spec: PipelineSpec, snapshot: DataSnapshot, names: list[str], folder: Path
) -> tuple[Answered, dict[str, float]]:
    """Those of an archive, and its metrics.

    Args:
        names: The metrics.

    Raises:
        FrozenSetMismatch: The test part is not the one that the snapshot froze.
        InvalidProject, ServingError: The archive cannot be scored.
    """
    frozen = freeze(spec, snapshot.train, snapshot.test, folder / "frozen")
    judged = Judged.of(score(archive, frozen.path, spec.data.features, latency_samples=0), frozen.target)
    columns = {name: column.to_pylist() for name, column in answer_columns(judged, frozen.target)}
    measured = metrics.measure(names, frozen.target, frozen.truth, judged.answers)
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
