"""Which batches a person chooses from who marks one as bad: by the ledger, bounded, and none that is gone."""

import pytest

from tasks.contracts import Action
from tasks.ledger import entries
from tasks.overview.batches import MOST_BATCHES, joined

pytestmark = pytest.mark.usefixtures("home")


def landed(number: int, table: str = "reviews", rows: int = 12, status: str = "published") -> None:
    entries.record(
        model=table,
        actor="airflow:ingest_reviews/r/ingest",
        action=Action.INGEST,
        before=None,
        after=status,
        why="So.",
        evidence={
            "file": f"day-{number}.csv",
            "batch_id": f"b{number}",
            "published_rows": rows,
        },
    )


def recalled(number: int) -> None:
    entries.record(
        model="reviews", actor="a", action=Action.RECALL, before=f"b{number}", after="left out", why="So.",
        evidence={},
    )  # fmt: skip


def test_what_joined_is_offered_with_time_file_and_rows_the_newest_first() -> None:
    landed(1)
    landed(2, "weather", rows=1)
    landed(3, rows=1200)

    found = joined(["reviews", "weather", "reviews"])

    assert [each.batch_id for each in found] == ["b3", "b2", "b1"]
    assert found[0].told == f"{found[0].at:%Y-%m-%d %H:%M} UTC, day-3.csv, 1,200 rows of reviews"
    assert found[1].told.endswith("day-2.csv, 1 row of weather")


def test_what_never_joined_was_recalled_or_came_twice_is_not_offered_again() -> None:
    landed(1)
    landed(2, rows=0, status="refused")
    landed(3)
    landed(3, status="already_published")
    recalled(1)

    assert [each.batch_id for each in joined(["reviews"])] == ["b3"]
    assert joined(["nothing_of_this_name"]) == ()


def test_no_more_are_offered_than_a_person_can_look_through() -> None:
    for number in range(MOST_BATCHES + 5):
        landed(number)

    found = joined(["reviews"])

    assert len(found) == MOST_BATCHES
    assert found[0].batch_id == f"b{MOST_BATCHES + 4}"
