"""A batch that was recalled counts, from the next version of its table on, as if it had never come."""

from pathlib import Path

import pytest

from tasks.contracts import SnapshotRequest
from tasks.data.recalled import leave_out, recalled_batches
from tasks.data.snapshot import snapshot
from tasks.data.taken_back import hide_taken_back
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.reviews import SPEC, as_table, context, review, reviews

TABLE = SPEC.data.table
WHY = "its labels are inverted"


@pytest.fixture
def lake(home: Path) -> Lake:
    made = Lake()
    made.append(TABLE, as_table(reviews(100)), batch_id="good")
    made.append(TABLE, as_table(reviews(100, 80)), batch_id="bad")
    return made


def seen(lake: Lake, version: int | None = None) -> dict[str, str]:
    """The batch of each row that a query of a model sees."""
    query = f"SELECT review_id, batch_id FROM {TABLE}"
    rows = lake.query(query, {TABLE: (TABLE, version)}, newest_by={TABLE: SPEC.data.key}).to_pylist()
    return {row["review_id"]: row["batch_id"] for row in rows}


def test_a_recalled_batch_is_seen_no_more_and_what_it_had_replaced_shows_again(lake: Lake) -> None:
    before = lake.latest(TABLE)
    assert seen(lake)["r90"] == "bad"

    after = leave_out(lake, TABLE, "bad", WHY)

    assert seen(lake) == {f"r{number}": "good" for number in range(100)}
    assert len(seen(lake, before)) == 180, "an older version is what it was"
    assert lake.latest(TABLE) == after
    assert len(lake.read(TABLE, where_sql="batch_id = 'bad'")) == 100, "nothing is removed"


def test_recalled_twice_it_is_marked_once(lake: Lake) -> None:
    assert recalled_batches(lake, TABLE) == set()
    assert leave_out(lake, TABLE, "bad", WHY) == leave_out(lake, TABLE, "bad", "once more")
    assert recalled_batches(lake, TABLE) == {"bad"}


def test_rows_that_land_again_in_another_batch_are_seen(lake: Lake) -> None:
    leave_out(lake, TABLE, "bad", WHY)
    lake.append(TABLE, as_table([review(90, label=1)]), batch_id="corrected")
    assert seen(lake)["r90"] == "corrected"


def test_a_snapshot_after_the_recall_holds_no_row_of_the_batch(home: Path, lake: Lake) -> None:
    document = SPEC.model_dump()
    document["data"] |= {"minimum_rows": 10}
    spec = PipelineSpec.model_validate(document)
    whole = snapshot(SnapshotRequest(context=context(home, "before"), spec=spec))
    leave_out(lake, TABLE, "bad", WHY)
    rest = snapshot(SnapshotRequest(context=context(home, "after"), spec=spec))
    assert (whole.rows, rest.rows) == (180, 100)


def test_labels_are_taken_back_as_before_where_a_batch_was_recalled(lake: Lake) -> None:
    leave_out(lake, TABLE, "bad", WHY)
    assert hide_taken_back(lake, SPEC) == ()
