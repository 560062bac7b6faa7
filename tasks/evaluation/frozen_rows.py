"""The frozen rows that models are compared on, and what a model answered to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.contracts import SnapshotPart
from tasks.errors import CheckFailed
from tasks.evaluation.answers import (
    Answers,
    Labels,
    Numbers,
    as_numbers,
    as_probabilities,
    as_scores,
    classes_of,
    encode,
)
from tasks.evaluation.scoring import Scores
from tasks.spec import PipelineSpec, Task
from tasks.stores.parts import fetch_part, read_part

MOST_SLICES = 50


@dataclass(frozen=True)
class Frozen:
    """The frozen rows.

    Attributes:
        truth: The labels' codes in `classes`; a regression's labels.
        classes: The labels that there are; none for a regression.
        slices: Each row's value of the data's `slice_by`.
    """

    rows: pa.Table
    sha256: str
    path: Path
    task: Task
    truth: Labels
    classes: tuple[Any, ...]
    slices: "NDArray[np.str_] | None"

    def parts(self) -> "Iterator[tuple[str, NDArray[np.bool_]]]":
        """The slices, largest first; of a column with very many values the smallest are left out."""
        if self.slices is not None:
            values, counts = np.unique(self.slices, return_counts=True)
            for value in values[np.argsort(-counts, kind="stable")][:MOST_SLICES]:
                yield str(value), self.slices == value

    def answers_of(self, raw: Scores) -> Answers:
        """What a handler said, as arrays."""
        if self.task == "regression":
            return Answers(as_numbers(raw.predictions))
        probabilities = (
            as_probabilities(raw.probabilities, self.classes) if self.task == "multiclass" else None
        )
        scores = as_scores(raw.scores) if self.task == "binary" else None
        return Answers(encode(raw.predictions, self.classes), scores, probabilities)


def freeze(spec: PipelineSpec, train: SnapshotPart, test: SnapshotPart, folder: Path) -> Frozen:
    """Read the test part.

    Raises:
        FrozenSetMismatch: A part is not the one that was frozen.
        CheckFailed: A row has no label, or none that the task can have.
    """
    path = fetch_part(test, folder / "test.parquet")
    rows = pq.read_table(path)
    label, by = spec.data.label, spec.data.slice_by
    labels = rows[label].to_pylist()
    if missing := labels.count(None):
        raise CheckFailed(
            f"{missing} test rows have no {label!r}. Leave them out in data.query.", rows=missing
        )
    classes: tuple[Any, ...] = ()
    if spec.task == "regression":
        truth: Labels = _numbers(labels, label)
    else:
        trained = read_part(train)[label].to_pylist()
        classes = classes_of(labels, [value for value in trained if value is not None])
        _require_two(spec, classes)
        truth = encode(labels, classes)
    slices = None
    if by is not None:
        slices = np.array(["missing" if value is None else str(value) for value in rows[by].to_pylist()])
    return Frozen(rows, test.sha256, path, spec.task, truth, classes, slices)


def _require_two(spec: PipelineSpec, classes: tuple[Any, ...]) -> None:
    if spec.task == "binary" and len(classes) > 2:
        raise CheckFailed(
            f"The rows have {len(classes)} labels ({', '.join(map(repr, classes[:5]))}), but the task of "
            f"{spec.name!r} is binary. Set task: multiclass in pipeline.yaml, or leave rows out in data.query.",
            labels=len(classes),
        )


def _numbers(labels: list[Any], label: str) -> Numbers:
    numbers = as_numbers(labels)
    if unknown := int((~np.isfinite(numbers)).sum()):
        raise CheckFailed(
            f"{unknown} test rows have a {label!r} that is not a number, so they cannot be predicted. "
            "Leave them out in data.query.",
            rows=unknown,
        )
    return numbers
