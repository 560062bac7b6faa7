"""A snapshot is the same rows whenever it is taken, each in the part where it always was."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tasks.contracts import DataSnapshot, SnapshotRequest
from tasks.data.snapshot import PARTS, _check_labels, part_of, snapshot
from tasks.errors import DataRejected, InvalidProject, LakeError
from tasks.spec import PipelineSpec, SplitSpec
from tasks.stores.lake import Lake
from tasks.stores.parts import read_part
from tasks.stores.row_hash import sha256_of_rows
from tests.unit.reviews import SPEC, as_table, context, review, reviews


def take(home: Path, step: str = "snapshot", as_of: datetime | None = None, **data: Any) -> DataSnapshot:
    """A snapshot by the shipped specification with some fields of `data` changed."""
    document = SPEC.model_dump()
    document["data"] |= {"minimum_rows": 10, **data}
    document["serving"]["input_schema"]["additionalProperties"] = True
    return snapshot(
        SnapshotRequest(context=context(home, step), spec=PipelineSpec.model_validate(document), as_of=as_of)
    )


def members(taken: DataSnapshot) -> dict[str, str]:
    """The part of each key."""
    urls = {name: getattr(taken, name).url for name in PARTS}
    return {
        key: name for name, url in urls.items() for key in pq.read_table(url).column("review_id").to_pylist()
    }


@pytest.fixture
def lake(home: Path) -> Lake:
    made = Lake()
    made.append("reviews", as_table(reviews(200)), batch_id="first")
    return made


def test_the_parts_hold_each_row_once_in_their_shares_and_say_where_they_come_from(
    home: Path, lake: Lake
) -> None:
    taken = take(home)
    assert sorted(members(taken)) == sorted(f"r{number}" for number in range(200))
    assert taken.rows == taken.train.rows + taken.validation.rows + taken.test.rows == 200
    assert 25 <= taken.test.rows <= 55
    assert 10 <= taken.validation.rows <= 32
    assert (taken.table_version, taken.version_at) == (1, lake.committed_at("reviews", 1))
    assert pq.read_table(taken.train.url).column_names == ["review_id", "source", "text", "label"]


def test_taken_again_it_is_the_same_to_the_byte(home: Path, lake: Lake) -> None:
    first = take(home, "one")
    DeltaTable(f"{lake.url}/reviews").create_checkpoint()
    second = take(home, "two")
    assert first.sha256 == second.sha256
    for name in PARTS:
        assert getattr(first, name).sha256 == getattr(second, name).sha256
        assert Path(getattr(first, name).url).read_bytes() == Path(getattr(second, name).url).read_bytes()


def test_a_step_that_is_cleared_when_rows_have_joined_leaves_the_parts_of_its_first_try(
    home: Path, lake: Lake
) -> None:
    """A champion's training, evaluation and drift checks refer to them."""
    first = take(home)
    lake.append("reviews", as_table(reviews(200, 200)), batch_id="second")
    second = take(home)

    assert second.sha256 != first.sha256
    for name in PARTS:
        assert read_part(getattr(first, name)).num_rows == getattr(first, name).rows
        assert read_part(getattr(second, name)).num_rows == getattr(second, name).rows
    assert take(home) == second, "tried again on the same rows, it is the very same"


def test_the_hash_does_not_depend_on_files_or_the_order_of_arrival(
    home: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Lake(str(home / "other"))
    for start in (150, 0, 50, 100):
        other.append("reviews", as_table(reviews(50, start)[::-1]), batch_id=str(start))
    wanted = take(home).train.sha256
    monkeypatch.setattr(Lake, "_url", lambda self, table: f"{other.url}/{table}")
    assert take(home).train.sha256 == wanted


def test_a_row_stays_in_its_part_when_rows_are_added_and_shares_change(home: Path, lake: Lake) -> None:
    before = members(take(home))
    lake.append("reviews", as_table(reviews(200, 200)), batch_id="second")
    after = members(take(home))
    assert {key: after[key] for key in before} == before
    wider = members(take(home, split=SPEC.data.split.model_dump() | {"validation_share": 0.5}))
    assert {key for key, part in wider.items() if part == "test"} == {
        key for key, part in after.items() if part == "test"
    }


def test_the_split_is_the_one_that_was_always_made() -> None:
    keys = pa.chunked_array([pa.array(["a", "b", "c", "é", "", "imdb-00001"])])
    assert part_of(keys, SplitSpec(by="id")).tolist() == [2, 0, 1, 0, 0, 0]
    assert part_of(pa.chunked_array([pa.array([1, 2, 3, 10**18])]), SplitSpec(by="id")).tolist() == [
        0,
        0,
        0,
        2,
    ]


def test_rows_that_came_later_are_not_in_an_earlier_time_s_snapshot(home: Path, lake: Lake) -> None:
    then = lake.committed_at("reviews", 1)
    now = take(home)
    lake.append("reviews", as_table(reviews(200, 200)), batch_id="second")
    past = take(home, as_of=then)
    assert past.sha256 == now.sha256
    assert (past.as_of, past.table_version, take(home).rows) == (then, 1, 400)


CRITICS = {
    "table": "critics",
    "key": "critic",
    "columns": {"critic": "string", "country": "string"},
    "suite": "reviews",
}
JOINED = {
    "tables": [CRITICS],
    "query": "SELECT review_id, text, label, country FROM reviews JOIN critics ON critic = source",
    "features": ["text", "country"],
    "slice_by": "country",
}


def test_every_table_of_a_join_is_pinned_and_a_key_counts_with_its_newest_row(home: Path, lake: Lake) -> None:
    lake.append("critics", pa.table({"critic": ["imdb"], "country": ["US"]}), batch_id="one")
    then = take(home, **JOINED)
    lake.append("critics", pa.table({"critic": ["imdb"], "country": ["UK"]}), batch_id="two")

    now = take(home, **JOINED)

    assert [(table.table, table.version) for table in then.pinned] == [("reviews", 1), ("critics", 1)]
    assert [(table.table, table.version) for table in now.pinned] == [("reviews", 1), ("critics", 2)]
    assert now.tables[0].version_at == lake.committed_at("critics", 2)
    assert set(pq.read_table(now.train.url)["country"].to_pylist()) == {"UK"}
    assert now.sha256 != then.sha256
    assert take(home, as_of=then.tables[0].version_at, **JOINED).sha256 == then.sha256


def test_a_join_that_repeats_a_key_and_a_joined_table_that_is_not_there_are_refused(
    home: Path, lake: Lake
) -> None:
    with pytest.raises(LakeError, match="There is no table 'critics'"):
        take(home, **JOINED)
    lake.append("critics", pa.table({"critic": ["imdb", "rt"], "country": ["US", "UK"]}), batch_id="one")
    with pytest.raises(DataRejected, match="in more than one row"):
        take(home, **{**JOINED, "query": JOINED["query"].replace("ON critic = source", "ON true")})
    with pytest.raises(InvalidProject, match=r"data.query: .*critics"):
        take(home, **{**JOINED, "tables": [], "features": ["text"], "slice_by": None})


def test_a_time_before_the_table_and_a_missing_table_are_errors(home: Path, lake: Lake) -> None:
    with pytest.raises(LakeError, match="did not exist"):
        take(home, as_of=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(LakeError, match="no table"):
        take(home, table="nothing")
    assert take(home, as_of=datetime.now(UTC) + timedelta(days=1)).table_version == 1


def test_a_row_that_was_landed_again_counts_once_as_its_newest(home: Path, lake: Lake) -> None:
    lake.append("reviews", as_table([review(3, text="Corrected.")]), batch_id="second")
    rows = take(home)
    found = pa.concat_tables([pq.read_table(getattr(rows, name).url) for name in PARTS]).to_pylist()
    assert rows.rows == 200
    assert [row["text"] for row in found if row["review_id"] == "r3"] == ["Corrected."]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC", "syntax error"),
        ("SELECT * FROM read_csv('/etc/passwd')", "file system operations are disabled"),
        ("SELECT * FROM elsewhere", "elsewhere"),
        ("SELECT * FROM reviews; SELECT 1", "One SELECT"),
        ("SELECT review_id, label FROM reviews", r"does not return.*'source', 'text'"),
        ("SELECT *, text FROM reviews", r"\['text'\] twice"),
        ("SELECT * REPLACE (now() AS written_at) FROM reviews", "now"),
        ("SELECT * REPLACE (current_timestamp AS written_at) FROM reviews", "current_timestamp"),
        ("WITH few AS (SELECT * FROM reviews WHERE random() < 0.5) SELECT * FROM few", "It uses random"),
        ("SELECT * FROM reviews USING SAMPLE 50%", "a sample without a seed"),
    ],
)
def test_a_wrong_query_is_named_with_its_file_and_field(
    home: Path, lake: Lake, query: str, said: str
) -> None:
    with pytest.raises(InvalidProject, match=r"models/review_sentiment/pipeline\.yaml: data\.query.*" + said):
        take(home, query=query)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minimum_rows": 201}, "200 rows, fewer than the 201"),
        ({"query": "SELECT * FROM reviews WHERE false"}, "0 rows"),
        ({"query": "SELECT * FROM reviews, range(2)"}, "200 keys .review_id. in more than one row: 'r0'"),
        ({"query": "SELECT * REPLACE (NULL::BIGINT AS label) FROM reviews"}, "200 rows without 'label'"),
        (
            {"query": "SELECT * REPLACE (nullif(review_id, 'r7') AS review_id) FROM reviews"},
            "1 rows without 'review_id'",
        ),
        ({"query": "SELECT * REPLACE (label + 1 AS label) FROM reviews"}, "label_schema does not know: 2"),
        ({"split": {"by": "source"}}, "no rows for"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_rejected_with_the_reason(
    home: Path, lake: Lake, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataRejected, match=said):
        take(home, **changes)


@pytest.mark.parametrize(
    ("schema", "label", "said"),
    [
        ({"type": "number"}, "label + 0.5", None),
        ({"type": "number", "minimum": 0, "maximum": 1}, "label::DOUBLE", None),
        ({"type": "number", "maximum": 0.5}, "label::DOUBLE", "label_schema does not know: 1.0"),
        ({"type": "number", "exclusiveMinimum": 0}, "label", "label_schema does not know: 0"),
        ({"type": "number", "multipleOf": 0.5}, "(label * 0.75)::DOUBLE", "label_schema does not know: 0.75"),
        ({"type": "integer"}, "label * 0.5::DOUBLE", "label_schema does not know: 0.5"),
        (
            {"type": "number"},
            "if(review_id = 'r7', 'nan'::DOUBLE, label)",
            "1 rows whose 'label' is NaN or inf",
        ),
        ({"type": "number"}, "if(label = 1, 'inf'::DOUBLE, label)", "rows whose 'label' is NaN or infinite"),
    ],
)
def test_of_a_regression_each_label_is_a_number_that_its_schema_knows(
    home: Path, lake: Lake, schema: dict[str, Any], label: str, said: str | None
) -> None:
    document = SPEC.model_dump() | {"task": "regression", "gate": {"margin": 1, "slice_margin": 1}}
    document["monitor"] = {}  # it promises another metric
    query = f"SELECT * REPLACE ({label} AS label) FROM reviews"
    document["data"] |= {"minimum_rows": 10, "query": query, "feedback_query": None}
    document["serving"]["label_schema"] = schema
    request = SnapshotRequest(
        context=context(home, "s"), spec=PipelineSpec.model_validate(document), as_of=None
    )

    if said is None:
        assert snapshot(request).rows == 200
    else:
        with pytest.raises(DataRejected, match=said):
            snapshot(request)


def test_a_million_different_numbers_are_checked_at_once() -> None:
    """JSON Schema takes 6 microseconds for each, which is a minute for ten million rows."""
    document = SPEC.model_dump() | {"task": "regression", "gate": {"margin": 1, "slice_margin": 1}}
    document["monitor"] = {}  # it promises another metric
    document["data"]["feedback_query"] = None
    document["serving"]["label_schema"] = {"type": "number", "minimum": 0}
    spec = PipelineSpec.model_validate(document)
    labels = pa.chunked_array([np.random.default_rng(1).random(1_000_000)])
    start = time.process_time()

    _check_labels(labels, spec, "The snapshot")

    assert time.process_time() - start < 1


def test_the_hash_of_rows_sees_every_difference_and_no_layout() -> None:
    rows = pa.table(
        {"a": ["x", None, ""], "b": pa.array([1, 0, None], pa.int64()), "c": pa.array([0.5, None, 0.0])}
    )
    others = [
        rows.rename_columns(["a", "b", "d"]),
        rows.select(["b", "a", "c"]),
        rows.take([1, 0, 2]),
        rows.set_column(0, "a", pa.array(["x", "", None])),
        rows.set_column(1, "b", pa.array([1, None, 0], pa.int64())),
        rows.set_column(1, "b", pa.array([1, 0, None], pa.int32())),
        rows.set_column(0, "a", pa.array(["", None, "x"])),
    ]
    assert len({sha256_of_rows(each) for each in (rows, *others)}) == 8
    chunked = pa.concat_tables([rows.slice(0, 1), rows.slice(1)])
    assert sha256_of_rows(chunked) == sha256_of_rows(rows)
    assert sha256_of_rows(
        rows.set_column(0, "a", rows.column("a").cast(pa.large_string()))
    ) == sha256_of_rows(rows)
    assert sha256_of_rows(rows) == (
        # written down: a library that stores rows in another way must not change it
        "d7e3b49755d11c17b6b3b4e97050f9a3dcd3885a11c7637d4fdc9c08793999ed"
    )
