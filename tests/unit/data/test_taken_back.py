"""What a token said is taken back: such labels do not land, and rows that did are hidden from trainings."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import SnapshotRequest
from tasks.data.snapshot import PARTS, snapshot
from tasks.spec import PipelineSpec
from tasks.stores.files import at
from tasks.stores.lake import Lake
from tests.unit.logged import Log, read
from tests.unit.reviews import DAY, SPEC, as_table, context, reviews

TABLE = SPEC.data.table


@pytest.fixture
def log(home: Path) -> Log:
    """A model with three predictions and no labels yet."""
    made = Log(Lake())
    made.predict("p1")
    made.predict("p2")
    made.predict("p3")
    return made


def joins(log: Log, batch_id: str) -> None:
    """Let the file that landed last join the table, as an ingest does."""
    folder = log.lake.url.replace("/lake", "/landing")
    newest = max(at(folder, TABLE).glob("*.parquet"), key=str)
    with newest.open("rb") as file:
        rows = pq.read_table(file)
    log.lake.append(TABLE, rows.cast(as_table([]).schema), batch_id=batch_id)


def keys(lake: Lake, version: int | None = None) -> list[str]:
    """What a training sees of a version of the table (None: the newest)."""
    query = f"SELECT review_id FROM {TABLE} ORDER BY 1"
    seen = lake.query(query, {TABLE: (TABLE, version)}, newest_by={TABLE: SPEC.data.key})
    found: list[str] = seen.column("review_id").to_pylist()
    return found


def test_a_label_that_was_taken_back_does_not_land_and_an_earlier_one_of_another_counts(log: Log) -> None:
    log.label("p1", 1, by="shop", minute=1)
    log.label("p1", 0, by="bank", minute=2)
    log.label("p2", 0, by="bank", minute=3)
    log.take_back("bank")
    assert {row["review_id"]: row["label"] for row in read(log.land())} == {"p1": 1}
    log.label("p2", 1, by="shop", minute=4)
    assert {row["review_id"]: row["label"] for row in read(log.land())} == {"p2": 1}


def test_only_what_a_token_sent_in_the_named_time_is_taken_back(log: Log) -> None:
    windows = {"all": (None, 60), "since": (5, 60), "later": (6, 60), "earlier": (None, 4)}
    for by, (since, until) in windows.items():
        log.predict(by)
        log.label(by, 1, by=by, minute=5)
        log.take_back(by, since=since, until=until)
    log.label("p1", 1, by="shop", minute=5)
    assert {row["review_id"] for row in read(log.land())} == {"later", "earlier", "p1"}


def test_labels_that_came_without_a_token_can_be_taken_back_too(log: Log) -> None:
    log.label("p1", 1, by=None)
    log.label("p2", 1, by="shop")
    log.take_back(None)
    assert [row["review_id"] for row in read(log.land())] == ["p2"]


def test_rows_that_had_joined_are_named_and_hidden_from_the_next_version_on(log: Log) -> None:
    log.label("p1", 1, by="bank", minute=1)
    log.label("p2", 1, by="shop", minute=2)
    log.label("p3", 1, by="bank", minute=3)
    log.land()
    joins(log, "abc")
    before = log.lake.latest(TABLE)
    log.take_back("bank")

    assert log.hide() == {"abc": 2}

    assert keys(log.lake) == ["p2"]
    assert keys(log.lake, before) == ["p1", "p2", "p3"], "an older version is what it was"
    assert len(log.lake.read(TABLE, where_sql="batch_id = 'abc'")) == 3, "nothing is removed"
    after = log.lake.latest(TABLE)
    assert (log.hide(), log.lake.latest(TABLE)) == ({"abc": 2}, after), "once more, nothing is marked twice"


def test_the_label_that_landed_decides_and_not_one_that_came_later(log: Log) -> None:
    log.label("p1", 1, by="shop", minute=1)
    log.label("p2", 1, by="bank", minute=1)
    log.land()
    joins(log, "abc")
    log.label("p1", 0, by="bank", minute=2)
    log.label("p2", 0, by="shop", minute=2)
    log.take_back("bank")
    assert log.hide() == {"abc": 1}
    assert keys(log.lake) == ["p1"]


def test_a_row_whose_file_still_waits_is_hidden_when_it_joins(log: Log) -> None:
    log.label("p1", 1, by="bank")
    log.label("p2", 1, by="shop")
    log.land()
    log.take_back("bank")
    assert log.hide() == {}
    joins(log, "abc")
    assert keys(log.lake) == ["p2"]
    assert log.hide() == {"abc": 1}


def test_a_file_that_was_not_finished_is_made_again_the_same_after_its_label_was_taken_back(log: Log) -> None:
    log.label("p1", 1, by="bank")
    landed = log.land()
    content = at(str(landed.file)).read_bytes()
    at(str(landed.file)).unlink()
    log.take_back("bank")
    assert at(str(log.land().file)).read_bytes() == content
    log.hide()
    joins(log, "abc")
    assert keys(log.lake) == []


def test_a_snapshot_holds_no_row_whose_label_was_taken_back(log: Log) -> None:
    log.lake.append(TABLE, as_table(reviews(100)), batch_id="first")
    log.label("p1", 1, by="bank")
    log.label("p2", 1, by="shop")
    log.land()
    joins(log, "abc")
    log.take_back("bank")
    log.hide()
    document = SPEC.model_dump()
    document["data"] |= {"minimum_rows": 10}
    spec = PipelineSpec.model_validate(document)
    taken = snapshot(SnapshotRequest(context=context(at(log.lake.url), "snapshot"), spec=spec))
    parts = [pq.read_table(getattr(taken, part).url).column("review_id").to_pylist() for part in PARTS]
    assert taken.rows == 101
    assert {"p1", "p2"} & {key for part in parts for key in part} == {"p2"}


def test_tables_of_an_earlier_version_are_widened_and_their_labels_can_be_taken_back(home: Path) -> None:
    log = Log(Lake())
    log.predict("p1")
    name = SPEC.name
    told = {"sequence": [1], "prediction_id": ["p1"], "label": ["1"], "received_at": pa.array([DAY])}
    log.lake.append(f"{name}__feedback", pa.table(told), batch_id="feedback-1")
    landed = {"prediction_id": ["p1"], "number": [1], "predictions_version": [1], "feedback_version": [1]}
    log.lake.append(f"{name}__landed", pa.table(landed), batch_id="landed-1", app_id=f"land:{name}")
    assert [row["review_id"] for row in read(log.land())] == ["p1"], "the portion had not been finished"
    joins(log, "abc")
    log.take_back(None)
    assert log.hide() == {"abc": 1}
    assert keys(log.lake) == []
