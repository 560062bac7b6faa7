"""Whether a training used a batch is seen by its query without the batch, whatever the query does."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import DataSnapshot, SnapshotRequest
from tasks.data.snapshot import snapshot
from tasks.errors import FrozenSetMismatch, LakeError
from tasks.provenance.training_rows import batches_of, lost_without
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.reviews import context
from tests.unit.trained import PIPELINE

JOINED = "SELECT n.id, n.number + w.wind AS number, n.label FROM numbers n JOIN winds w ON n.number = w.hour"
COMPUTED = "SELECT id, sum(number) OVER ()::BIGINT AS number, label FROM numbers"
BY_HAND = "SELECT 'k' || id AS id, number, label FROM numbers"
WINDS = {"table": "winds", "key": "hour", "columns": {"hour": "int64", "wind": "int64"}, "suite": "winds"}


def spec_with(query: str) -> PipelineSpec:
    data: dict[str, Any] = {**PIPELINE["data"], "query": query, "minimum_rows": 1, "tables": [WINDS]}
    data["split"] = {"by": "id", "test_share": 0.3, "validation_share": 0.2}
    return PipelineSpec.model_validate({**PIPELINE, "data": data})


@pytest.fixture
def lake(home: Path) -> Lake:
    """Rows 0 to 39 in two batches of 20; hour 0 to 29 in one batch, 30 to 39 in another."""
    made = Lake()
    for name, first in (("first", 0), ("second", 20)):
        numbers = list(range(first, first + 20))
        rows = {"id": [f"r{n}" for n in numbers], "number": numbers, "label": [n % 2 for n in numbers]}
        made.append("numbers", pa.table(rows), batch_id=name)
    for name, hours in (("early", range(30)), ("late", range(30, 40))):
        made.append("winds", pa.table({"hour": list(hours), "wind": [1] * len(hours)}), batch_id=name)
    return made


def taken(home: Path, spec: PipelineSpec) -> DataSnapshot:
    return snapshot(SnapshotRequest(context=context(home, "snapshot"), spec=spec))


@pytest.mark.parametrize(
    ("query", "table", "batch_id", "rows"),
    [
        ("SELECT * EXCLUDE (ingested_at, batch_id) FROM numbers", "numbers", "second", 20),
        ("SELECT * EXCLUDE (ingested_at, batch_id) FROM numbers", "winds", "late", 0),
        (JOINED, "winds", "late", 10),
        (COMPUTED, "numbers", "second", 40),
        (BY_HAND, "numbers", "second", 20),
        ("SELECT id, number, label FROM numbers WHERE number < 20", "numbers", "second", 0),
    ],
)
def test_the_rows_that_a_batch_led_to_are_counted(
    home: Path, lake: Lake, query: str, table: str, batch_id: str, rows: int
) -> None:
    spec = spec_with(query)
    found = lost_without(lake, taken(home, spec), spec, {table: f"batch_id = '{batch_id}'"})
    assert sum(found.values()) == rows


def test_rows_whose_keys_the_query_makes_are_said_to_be_untraceable_by_key(home: Path, lake: Lake) -> None:
    spec = spec_with(BY_HAND)
    with pytest.raises(LakeError, match="makes keys of its own"):
        batches_of(lake, taken(home, spec), spec)


def test_a_part_that_was_changed_is_never_taken_for_what_was_trained_on(home: Path, lake: Lake) -> None:
    spec = spec_with("SELECT id, number, label FROM numbers")
    frozen = taken(home, spec)
    Path(frozen.train.url).write_bytes(Path(frozen.test.url).read_bytes())
    with pytest.raises(FrozenSetMismatch):
        lost_without(lake, frozen, spec, {"numbers": "batch_id = 'first'"})
