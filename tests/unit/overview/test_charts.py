"""Charts over time: nothing is drawn outside of them, and what a reader needs stands beside each value."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.overview.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, spark, trend

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
numbers = st.floats(-1e6, 1e6)


def point(day: int, value: float, **about: float | str) -> Point:
    return Point(BEGIN + timedelta(days=day), value, **about)  # type: ignore[arg-type]


@example([(5e-324, 0.0, 0.0)])
@example([(1e6, 1e-9, 1e6)])
@example([(1.7e308, 0.0, -1.7e308)])
@given(st.lists(st.tuples(numbers, st.floats(0, 1e5), numbers), min_size=1, max_size=30))
def test_everything_is_drawn_within_the_axes(values: list[tuple[float, float, float]]) -> None:
    points = [
        point(day, value, low=value - room, high=value + room, limit=limit)
        for day, (value, room, limit) in enumerate(values)
    ]
    drawn = trend("scores", points)
    assert drawn is not None
    for dot in drawn.dots:
        assert LEFT <= dot.x <= WIDTH - RIGHT
        for y in (dot.y, dot.foot, dot.head):
            assert y is not None
            assert TOP <= y <= HEIGHT - BOTTOM
    assert all(TOP <= y <= HEIGHT - BOTTOM for y, _ in drawn.y_ticks)
    assert drawn.y_ticks


def test_a_point_tells_its_value_interval_threshold_and_verdict() -> None:
    drawn = trend("scores", [point(0, 0.9, low=0.88, high=0.92, limit=0.85, label="promote")])
    assert drawn is not None
    assert drawn.dots[0].told == "2026-01-01 00:00 UTC, 0.9 [0.88, 0.92], threshold 0.85: promote"


def test_releases_within_the_time_are_marked_where_they_were() -> None:
    releases = [(BEGIN - timedelta(days=1), "v1"), (BEGIN + timedelta(days=5), "v2")]
    drawn = trend("scores", [point(0, 1.0), point(10, 2.0)], releases=releases)
    assert drawn is not None
    [mark] = drawn.marks
    assert mark.label == "v2"
    assert mark.x == pytest.approx((drawn.dots[0].x + drawn.dots[1].x) / 2, abs=0.1)


def test_a_threshold_has_a_gap_where_there_was_none() -> None:
    drawn = trend("auc", [point(0, 1.0, limit=0.6), point(1, 1.0), point(2, 1.0, limit=0.7)])
    assert drawn is not None
    assert len(re.findall("M", drawn.limit_path)) == 2


def test_nothing_is_drawn_of_nothing_and_no_course_of_one_value() -> None:
    assert trend("scores", []) is None
    assert spark([0.9], "one") is None
    drawn = spark([0.9, 0.9], "two")
    assert drawn is not None
    assert drawn.path.startswith("M")


def test_a_clock_that_was_set_back_mixes_up_no_chart() -> None:
    drawn = trend("scores", [point(3, 0.5), point(9, 0.6), point(1, 0.7)], releases=[(point(4, 0).at, "v2")])

    assert drawn is not None
    assert [dot.point.value for dot in drawn.dots] == [0.7, 0.5, 0.6]
    assert [dot.x for dot in drawn.dots] == sorted({dot.x for dot in drawn.dots})
    assert [mark.label for mark in drawn.marks] == ["v2"]
    assert [text for _, text, _ in drawn.x_ticks] == ["2026-01-02", "2026-01-10"]
