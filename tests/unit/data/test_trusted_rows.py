"""Old rows of a snapshot are trusted, and those that a later batch brought or changed are not."""

import time
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from tasks.contracts import DataSnapshot
from tasks.stores.lake import Lake
from tests.unit.data.test_snapshot import take
from tests.unit.reviews import SPEC, as_table, review, reviews

AGE = timedelta(days=SPEC.gate.anchor_age_days)


def keys(url: str) -> set[str]:
    return set(pq.read_table(url)["review_id"].to_pylist())


def aged(taken: DataSnapshot) -> set[str]:
    assert taken.aged is not None
    return keys(taken.aged.url)


def test_a_row_is_old_that_was_there_word_for_word_long_enough_ago(home: Path) -> None:
    lake = Lake()
    lake.append("reviews", as_table(reviews(200)), batch_id="first")
    first = lake.committed_at("reviews", 1)
    time.sleep(0.01)
    changed = [review(number, label=1 - number % 2) for number in range(100)]
    lake.append("reviews", as_table([*changed, *reviews(100, 200)]), batch_id="second")

    taken = take(home, as_of=first + AGE + timedelta(milliseconds=5))

    tested = keys(taken.test.url)
    assert aged(taken) == {key for key in tested if 100 <= int(key[1:]) < 200}
    assert len(aged(taken)) > 10
    all_old = take(home, "later", as_of=first + 2 * AGE)
    assert all_old.aged == all_old.test


def test_on_a_table_that_is_younger_no_row_is_old(home: Path) -> None:
    Lake().append("reviews", as_table(reviews(200)), batch_id="first")
    assert take(home).aged is None
