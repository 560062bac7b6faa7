"""What says the same as a row that is tested on is not trained on, and no row ever leaves the test part."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts import DataSnapshot, SnapshotRequest
from tasks.data.near_duplicates import LEFT_OUT, groups_of, without_leaks
from tasks.data.snapshot import PARTS, snapshot
from tasks.spec import DataSpec, PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.reviews import SPEC, as_table, context, review

WORDS = [f"word{number}" for number in range(500)]


def text(seed: int, words: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def same(one: str, other: str) -> bool:
    groups = groups_of(pa.table({"text": [one, other]}), ["text"], ["text"])
    return bool(groups[0] == groups[1])


def take(home: Path, step: str, **split: Any) -> DataSnapshot:
    document = SPEC.model_dump()
    document["data"] |= {"minimum_rows": 10, "split": document["data"]["split"] | split}
    document["serving"]["input_schema"]["additionalProperties"] = True
    spec = PipelineSpec.model_validate(document)
    return snapshot(SnapshotRequest(context=context(home, step), spec=spec))


def members(taken: DataSnapshot) -> dict[str, str]:
    return {
        key: name
        for name in PARTS
        for key in pq.read_table(getattr(taken, name).url).column("review_id").to_pylist()
    }


@pytest.mark.parametrize(
    "copy",
    [
        lambda original: original.upper(),
        lambda original: original.replace(" ", "  ") + " ",
        lambda original: original.replace(" ", ", ", 3) + "!",
        lambda original: original.replace("word", "\uff57ord"),
        lambda original: original + " and more",
        lambda original: "So: " + original.replace(" ", " new ", 1),
    ],
)
def test_a_copy_with_small_changes_says_the_same(copy: Any) -> None:
    assert same(text(1), copy(text(1)))


def test_other_texts_say_something_else_however_short_they_are() -> None:
    assert not same(text(1), text(2))
    assert not same("good film", "good films")
    assert not same("!!!", "???")
    half = text(1, 20)
    assert not same(f"{half} {text(2, 20)}", f"{half} {text(3, 20)}")


def test_texts_are_of_one_group_only_where_the_other_features_are_equal() -> None:
    rows = pa.table({"text": [text(1), text(1) + " so", text(1) + " yes"], "stars": [1, 1, 2]})
    first, second, third = groups_of(rows, ["text", "stars"], ["text"])
    assert first == second != third


def test_a_copy_of_a_tested_row_is_left_out_of_training_and_counted(home: Path) -> None:
    lake = Lake()
    lake.append("reviews", as_table([review(n, text=text(n)) for n in range(200)]), batch_id="first")
    before = members(take(home, "one"))
    tested = [key for key, part in before.items() if part == "test"]
    copies = [review(1000 + n, text=text(int(key[1:])) + " Really!") for n, key in enumerate(tested)]
    lake.append("reviews", as_table(copies), batch_id="second")

    taken = take(home, "two")
    after = members(taken)
    told = taken.near_duplicates

    assert {key: after[key] for key in before} == before, "nobody else's place changes"
    assert told is not None
    assert {after[key] for key in after if key not in before} == {"test"}
    assert told.groups == len(tested)
    assert told.leaking_rows == told.groups_across_parts == 200 + len(copies) - taken.rows > 0
    counted = take(home, "three", near_duplicates="count")
    assert counted.rows == 200 + len(copies)
    assert counted.near_duplicates == told.model_copy(update={"left_out": False})


def test_several_columns_decide_together_so_that_equal_rows_are_in_one_part(home: Path) -> None:
    Lake().append(
        "reviews",
        as_table([review(n, source=f"s{n % 20}", text=f"Film {n % 60}.") for n in range(600)]),
        batch_id="first",
    )
    taken = take(home, "one", by=("source", "text"))
    assert taken.near_duplicates is not None
    assert taken.near_duplicates.groups == 60
    assert taken.near_duplicates.leaking_rows == 0


def data(near_duplicates: str, features: tuple[str, ...] = ("number",)) -> DataSpec:
    split = {"by": "id", "near_duplicates": near_duplicates}
    columns = {"id": "string", "number": "int64", "label": "int64"}
    return DataSpec.model_validate(
        {"table": "t", "key": "id", "columns": columns, "suite": "t", "query": "SELECT * FROM t"}
        | {"features": features, "label": "label", "split": split}
    )


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=40))
def test_no_row_leaves_the_test_part_and_none_before_it_says_the_same(rows: list[tuple[int, int]]) -> None:
    table = pa.table({"number": [number for number, _ in rows]})
    parts = np.array([part for _, part in rows], dtype=np.int8)
    found, told = without_leaks(table, parts, data("leave_out"))
    assert set(found[found != parts]) <= {LEFT_OUT}
    assert (found[parts == 2] == 2).all()
    said = [
        {number for (number, _), place in zip(rows, found, strict=True) if place == part} for part in range(3)
    ]
    assert not said[0] & (said[1] | said[2])
    assert not said[1] & said[2]
    assert told.leaking_rows == (found == LEFT_OUT).sum()
    natural, counted = without_leaks(table, parts, data("auto"))
    assert (natural == parts).all(), "in a table without text, equal rows may be natural"
    assert counted == told.model_copy(update={"left_out": False})
