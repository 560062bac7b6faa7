"""A training that has nothing to learn from, or nothing new, ends before anything is spent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import CountRequest, RowCount
from tasks.data.count import count, too_few
from tasks.data.snapshot import SnapshotRequest, snapshot
from tasks.errors import LakeError, NothingToDo
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.reviews import SPEC, as_table, context, reviews

FEW = SPEC.model_copy(update={"data": SPEC.data.model_copy(update={"minimum_rows": 100})})


@pytest.fixture
def lake(home: Path) -> Lake:
    """The table with 200 reviews, as its version 1."""
    made = Lake()
    made.append("reviews", as_table(reviews(200)), batch_id="first")
    return made


def counted(home: Path, run: str, spec: PipelineSpec = FEW, **asked: Any) -> RowCount:
    return count(CountRequest(context=context(home, f"train/{run}/count"), spec=spec, **asked))


def train(home: Path, run: str, as_of: datetime | None = None, spec: PipelineSpec = FEW) -> None:
    """What a training does to the count: its snapshot."""
    snapshot(SnapshotRequest(context=context(home, f"train/{run}/snapshot"), spec=spec, as_of=as_of))


def test_without_a_table_the_landing_folder_and_the_dag_are_named(home: Path) -> None:
    with pytest.raises(NothingToDo, match=r"no table 'reviews' yet.*landing folder.*ingest_reviews") as told:
        counted(home, "one")
    assert told.value.exit_code == 30


def test_a_first_training_waits_for_its_rows(home: Path, lake: Lake) -> None:
    with pytest.raises(NothingToDo, match=r"has 200 rows for 'review_sentiment' so far.*waits for the 500"):
        counted(home, "one", SPEC)
    found = counted(home, "one")
    assert (found.rows, found.new_rows, found.table_version, found.seen_version) == (200, 200, 1, None)


def test_rows_start_one_training_and_not_two(home: Path, lake: Lake) -> None:
    counted(home, "one", minimum_new_rows=200)
    train(home, "one")
    lake.append("reviews", as_table(reviews(150, first=200)), batch_id="second")
    with pytest.raises(
        NothingToDo, match=r"^150 rows have joined 'reviews' since .* \(1\); .* waits for 200"
    ):
        counted(home, "two", minimum_new_rows=200)
    lake.append("reviews", as_table(reviews(50, first=350)), batch_id="third")
    assert counted(home, "two", minimum_new_rows=200).new_rows == 200
    train(home, "two")
    with pytest.raises(NothingToDo, match=r"^0 rows have joined"):
        counted(home, "three", minimum_new_rows=200)
    assert counted(home, "three").new_rows == 0, (
        "a training that a person or the clock starts needs no new rows"
    )


def test_a_row_that_comes_again_is_not_new(home: Path, lake: Lake) -> None:
    train(home, "one")
    lake.append("reviews", as_table(reviews(200)), batch_id="again")
    assert counted(home, "two").new_rows == 0


def test_a_run_that_is_cleared_trains_on_its_own_rows_again(home: Path, lake: Lake) -> None:
    train(home, "one")
    train(home, "one")
    assert counted(home, "one", minimum_new_rows=200).new_rows == 200


def test_a_training_on_old_data_does_not_make_newer_rows_new_again(home: Path, lake: Lake) -> None:
    first = lake.committed_at("reviews", 1)
    lake.append("reviews", as_table(reviews(150, first=200)), batch_id="second")
    train(home, "one")
    train(home, "two", as_of=first)
    assert counted(home, "three").seen_version == 2
    assert counted(home, "three", as_of=first).new_rows == 0


def test_a_time_before_the_table_is_refused(home: Path, lake: Lake) -> None:
    with pytest.raises(LakeError, match="did not exist at 2020"):
        counted(home, "one", as_of=datetime(2020, 1, 1, tzinfo=UTC))


def test_rows_that_any_table_of_a_join_gives_are_new(home: Path, lake: Lake) -> None:
    joined = """SELECT review_id, reviews.source, text, label
        FROM reviews JOIN sources ON sources.source = reviews.source WHERE label IS NOT NULL"""
    sources = {"table": "sources", "key": "source", "columns": {"source": "string"}, "suite": "reviews"}
    document = FEW.model_dump()
    document["data"] |= {"tables": [sources], "query": joined}
    spec = PipelineSpec.model_validate(document)
    with pytest.raises(NothingToDo, match=r"no table 'sources' yet.*ingest_sources has to be on"):
        counted(home, "one", spec)
    lake.append("sources", pa.table({"source": ["imdb"]}), batch_id="first")
    train(home, "one", spec=spec)
    others = [{**row, "source": "others"} for row in reviews(150, first=200)]
    lake.append("reviews", as_table(others), batch_id="second")
    assert counted(home, "two", spec).new_rows == 0
    lake.append("sources", pa.table({"source": ["others"]}), batch_id="second")
    assert counted(home, "two", spec, minimum_new_rows=150).new_rows == 150


def test_a_table_that_was_made_again_has_not_been_seen(home: Path, lake: Lake, tmp_path: Path) -> None:
    lake.append("reviews", as_table(reviews(10, first=200)), batch_id="second")
    train(home, "one")
    (Path(lake.url) / "reviews").rename(tmp_path / "put-away")
    lake.append("reviews", as_table(reviews(120)), batch_id="anew")
    assert counted(home, "two", minimum_new_rows=120).seen_version is None


def test_a_model_that_lost_its_rows_is_not_waited_for() -> None:
    found = RowCount(table="reviews", table_version=3, rows=20, new_rows=0, seen_version=2)
    assert too_few(found, FEW, 0) is None


def test_a_column_that_joined_the_table_since_the_last_training_is_null_in_what_it_saw(
    home: Path, lake: Lake
) -> None:
    train(home, "one")
    query = "SELECT review_id, text, source, label, coalesce(stars, 0) AS stars FROM reviews"
    columns = {**SPEC.data.columns, "stars": "int64"}
    data = FEW.data.model_copy(update={"columns": columns, "query": query})
    lake.create("reviews", data.columns)
    lake.append("reviews", as_table(reviews(150, first=200)), batch_id="second")

    found = counted(home, "two", FEW.model_copy(update={"data": data}), minimum_new_rows=150)

    assert found.new_rows == 150
