"""The frozen rows: the test part of a snapshot, checked to be what was frozen, and the truth of each row."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import SnapshotPart
from tasks.errors import CheckFailed
from tasks.evaluation.answers import Target, Truth
from tasks.evaluation.slices import Slice, SlicedColumn, sliced_columns
from tasks.spec import PipelineSpec, declared_classes, in_order
from tasks.stores.parts import fetch_part, read_part
from tasks.stores.same_rows import Mask

NAMED = 5


@dataclass(frozen=True)
class Frozen:
    """The frozen rows.

    Attributes:
        sha256: Of the test part.
        path: The file of all rows on this machine.
        truth: The labels, as `target` encodes them.
        sliced: Each column of the data's `slice_by`, with the slice of each row.
    """

    rows: pa.Table
    sha256: str
    path: Path
    target: Target
    truth: Truth
    sliced: tuple[SlicedColumn, ...]

    def where(self, rows: Mask) -> "Frozen":
        """Some of the rows; the file stays the one of all."""
        sliced = tuple(each.where(rows) for each in self.sliced)
        return replace(self, rows=self.rows.filter(pa.array(rows)), truth=self.truth[rows], sliced=sliced)

    def parts(self) -> Iterator[Slice]:
        """The slices, column by column."""
        for column in self.sliced:
            yield from column.slices()


def freeze(
    spec: PipelineSpec,
    train: SnapshotPart,
    test: SnapshotPart,
    folder: Path,
    more: pa.Table | None = None,
) -> Frozen:
    """Read the test part and check that it is what was frozen.

    Args:
        more: Rows with the same columns that are scored behind those of the test part.

    Raises:
        FrozenSetMismatch: It is not.
        CheckFailed: It lacks a column, or a row has no label, or one that `label_schema` does not name.
    """
    path = fetch_part(test, folder / "test.parquet")
    rows = pq.read_table(path)
    _require_columns(spec, rows, test)
    if more is not None and len(more):
        rows, path = pa.concat_tables([rows, more]), folder / "test_and_more.parquet"
        pq.write_table(rows, path)
    labels = rows[spec.data.label].to_pylist()
    if missing := labels.count(None):
        raise CheckFailed(
            f"{missing} test rows have no {spec.data.label!r}. Leave them out in data.query.", rows=missing
        )
    target = _target(spec, labels, train)
    truth = _truth(labels, target, spec)
    return Frozen(rows, test.sha256, path, target, truth, sliced_columns(spec, rows, train))


def _require_columns(spec: PipelineSpec, rows: pa.Table, test: SnapshotPart) -> None:
    data = spec.data
    slices = (each.column for each in data.slice_by)
    needed = dict.fromkeys((data.key, data.label, *data.features, *slices))
    if lacking := [name for name in needed if name not in rows.column_names]:
        raise CheckFailed(
            f"{test.url} has no column {', '.join(map(repr, lacking))}, but models/{spec.name}/pipeline.yaml "
            "names it: it was changed after the snapshot was taken. Start a new training, which takes a new "
            "snapshot, or change pipeline.yaml back.",
            columns=lacking,
        )


def _target(spec: PipelineSpec, labels: list[Any], train: SnapshotPart) -> Target:
    """What is predicted; the classes are those of the data where the schema does not name them."""
    if spec.task == "regression":
        return Target(spec.task)
    classes = declared_classes(spec.serving.label_schema)
    if classes is None:
        trained = read_part(train)[spec.data.label].to_pylist()
        classes = in_order(label for label in (*labels, *trained) if label is not None)
    return Target(spec.task, classes)


def _truth(labels: list[Any], target: Target, spec: PipelineSpec) -> Truth:
    truth = target.encode(labels)
    unknown = ~np.isfinite(truth) if spec.task == "regression" else truth == -1
    if unknown.any():
        named = ", ".join(dict.fromkeys(repr(labels[row]) for row in np.flatnonzero(unknown)[:NAMED]))
        expected = "a finite number" if spec.task == "regression" else "named in serving.label_schema"
        raise CheckFailed(
            f"{int(unknown.sum())} test rows have a {spec.data.label!r} that is not {expected}: {named}. "
            "Leave them out in data.query, or correct the schema.",
            rows=int(unknown.sum()),
        )
    return truth
