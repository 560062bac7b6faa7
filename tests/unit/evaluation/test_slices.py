"""Which slice a row is in: the training rows or the specification say it, never the test rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import SnapshotPart
from tasks.errors import CheckFailed
from tasks.evaluation.slices import sliced_columns
from tasks.spec import PipelineSpec
from tasks.stores.row_hash import sha256_of_rows
from tests.unit.judged import SPEC


def spec_of(*slices: Any) -> PipelineSpec:
    document = SPEC.model_dump(mode="json")
    document["data"] |= {"slice_by": list(slices)}
    return PipelineSpec.model_validate(document)


def names(folder: Path, slices: list[Any], test: list[Any], train: list[Any]) -> list[list[str]]:
    rows = pa.table({"stars": train})
    pq.write_table(rows, folder / "train.parquet")
    part = SnapshotPart(url=str(folder / "train.parquet"), rows=len(rows), sha256=sha256_of_rows(rows))
    return [
        found.names.tolist() for found in sliced_columns(spec_of(*slices), pa.table({"stars": test}), part)
    ]


def test_given_edges_belong_to_the_bin_above_them(tmp_path: Path) -> None:
    by = [{"column": "stars", "edges": [2, 3.5]}]
    assert names(tmp_path, by, [1, 2, 3, 3.5, 99, None], [1.0]) == [
        ["(-inf, 2)", "[2, 3.5)", "[2, 3.5)", "[3.5, inf)", "[3.5, inf)", "missing"]
    ]


def test_quantiles_are_those_of_the_training_rows(tmp_path: Path) -> None:
    by = [{"column": "stars", "quantiles": 4}]
    train = [*range(101), None]

    found = names(tmp_path, by, [1000, 30, 25, -7], train)

    assert found == [["[75, inf)", "[25, 50)", "[25, 50)", "(-inf, 25)"]]
    assert names(tmp_path, by, [30], train) == [["[25, 50)"]]


def test_quantiles_of_one_value_or_none_are_fewer_bins(tmp_path: Path) -> None:
    by = [{"column": "stars", "quantiles": 4}]
    assert names(tmp_path, by, [6, 7, 8], [7] * 50) == [["(-inf, 7)", "[7, inf)", "[7, inf)"]]
    assert names(tmp_path, by, [6], [np.nan] * 5) == [["(-inf, inf)"]]


def test_several_columns_and_kinds_of_slices_stand_side_by_side(tmp_path: Path) -> None:
    (stars,) = names(tmp_path, ["stars"], [1, None], [1])
    assert stars == ["1", "missing"]
    table = pa.table({"stars": [1, 5], "source": ["a", "b"]})
    nowhere = SnapshotPart(url="unused", rows=0, sha256="")
    by = spec_of("source", {"column": "stars", "edges": [3]})
    assert [(found.column, found.names.tolist()) for found in sliced_columns(by, table, nowhere)] == [
        ("source", ["a", "b"]),
        ("stars", ["(-inf, 3)", "[3, inf)"]),
    ]


def test_bins_of_texts_are_refused_with_the_column(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=r"puts 'stars' into bins, but the query gives it as string"):
        names(tmp_path, [{"column": "stars", "edges": [3]}], ["many"], [1])
