"""What is drawn is what was measured."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from tasks.contracts import ColumnProfile, ColumnScale, WindowProfile
from tasks.monitoring.page.axes import Axis, around, time_ticks
from tasks.monitoring.page.bars import histogram, rows
from tasks.monitoring.page.lines import Asked, Limit, Line, Point, chart
from tasks.monitoring.page.of_check import Checked, days_like
from tasks.monitoring.page.shares import shares_of
from tasks.monitoring.page.words import number, percent, power, short, tick

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def window(rows: int, number: int = 0, **columns: ColumnProfile) -> WindowProfile:
    start = START + number * DAY
    return WindowProfile(start=start, end=start + DAY, rows=rows, different_rows=rows, columns=columns)


def points(*values: float) -> tuple[Point, ...]:
    return tuple(Point(START + number * DAY, value) for number, value in enumerate(values))


@pytest.mark.parametrize(
    "values", [[0.0], [1e308, -1e308], [5.0] * 3, [float("nan")], [1e-300, 2e-300], [float("inf"), 1.0]]
)
def test_an_axis_holds_whatever_is_measured(values: list[float]) -> None:
    axis = around(values, 100.0, 0.0)
    assert all(0 <= axis.place(value) <= 100 for value in values if not math.isnan(value))
    assert all(axis.low <= value <= axis.high for value in axis.ticks())


def test_a_logarithmic_axis_names_powers_of_ten_and_holds_zero_at_its_foot() -> None:
    axis = Axis(0.1, 1e9, 200.0, 0.0, logarithmic=True)
    assert axis.place(0.0) == 200
    assert len(axis.ticks()) <= 6
    assert [power(value) for value in axis.ticks()] == ["0.1", "10", "1,000", "10⁵", "10⁷", "10⁹"]


def test_times_are_told_with_what_tells_them_apart() -> None:
    hours, years = [START, START + timedelta(hours=6)], [START, START + 400 * DAY]
    assert [told for _, told in time_ticks(hours)] == ["2 Mar 00:00", "2 Mar 06:00"]
    assert [told for _, told in time_ticks(years)] == ["2 Mar 2026", "6 Apr 2027"]
    assert [told for _, told in time_ticks([START])] == ["2 Mar"]


def test_a_line_has_a_gap_where_nothing_was_measured() -> None:
    made = chart(Asked("Title", "told", [Line("a", points(1, 2, float("nan"), 3))]))
    assert made is not None
    assert made.lines[0].path.count("M") == 2
    assert len(made.lines[0].dots) == 3


def test_nothing_measured_is_no_chart() -> None:
    assert chart(Asked("Title", "told", [Line("a", points(float("nan")))])) is None
    assert chart(Asked("Title", "told", [])) is None


def test_a_limit_that_was_crossed_lies_below_the_point_that_crossed_it() -> None:
    made = chart(Asked("Title", "told", [Line("a", points(1, 5000))], [Limit("limit", 4000)], unit="log"))
    assert made is not None
    [(place, _, value)] = made.limits
    assert value == "4,000"
    assert made.lines[0].dots[1].y < place < made.lines[0].dots[0].y


def test_an_endless_amount_of_evidence_is_drawn_at_the_top() -> None:
    made = chart(Asked("Title", "told", [Line("a", points(1, 1e300))], [Limit("limit", 4000)], unit="log"))
    assert made is not None
    assert made.lines[0].dots[1].y < made.limits[0][0]


CATEGORY = ColumnScale(column="c", kind="category", values=tuple("abcdefghijkl"), known=12)


def category(*counts: int, new: int = 0, nulls: int = 0) -> ColumnProfile:
    return ColumnProfile(nulls=nulls, counts=(*counts, *[0] * (12 - len(counts))), new=new, distinct=3)


def test_the_shares_of_a_category_and_all_others_and_new_ones_are_the_whole() -> None:
    then = window(1200, c=category(*[100] * 12))
    now = window(1000, c=category(10, 20, *[40] * 10, new=70, nulls=500))

    found = shares_of(CATEGORY, then, now)

    assert found.others is not None
    assert found.new is not None
    pairs = [*found.values, found.others, found.new]
    assert sum(pair.then for pair in pairs) == pytest.approx(1)
    assert sum(pair.now for pair in pairs) == pytest.approx(1)
    assert found.new.now == pytest.approx(70 / 500)
    assert found.nulls.now == 0.5
    assert found.values[0].low is None, "two profiles alone have no days"


def test_a_value_that_rose_from_nowhere_is_shown_among_the_frequent_ones() -> None:
    then = window(1000, c=category(*[90] * 11, 10))
    now = window(1000, c=category(*[50] * 11, 450))
    assert "l" in [pair.label for pair in shares_of(CATEGORY, then, now).values]


def test_the_band_is_what_nine_of_ten_days_have() -> None:
    days = [window(100, place, c=category(40 + place, 60 - place)) for place in range(21)]
    found = shares_of(CATEGORY, window(2100, c=category(1050, 1050)), window(100, c=category(90, 10)), days)
    assert (found.values[0].low, found.values[0].high) == (pytest.approx(0.41), pytest.approx(0.59))
    drawn = rows(found)
    assert drawn is not None
    assert drawn.rows[0].high is not None
    assert drawn.rows[0].now + drawn.left > drawn.rows[0].high, "now it is outside"


def test_one_bar_for_all_others_hides_no_other() -> None:
    scale = CATEGORY.model_copy(update={"known": 5000})
    found = shares_of(scale, window(1000, c=category(*[5] * 12)), window(1000, c=category(*[5] * 12)))
    drawn = rows(found)
    assert drawn is not None
    assert "All others" not in [row.label for row in drawn.rows]
    assert max(row.then for row in drawn.rows) > 200


def number_scale(*edges: float, least: float = 0, most: float = 100, known: int = 99) -> ColumnScale:
    return ColumnScale(column="n", kind="number", edges=edges, known=known, minimum=least, maximum=most)


def counts(*own: int) -> ColumnProfile:
    return ColumnProfile(nulls=0, counts=own, distinct=9, total=float(sum(own)))


def test_the_area_of_a_numbers_bar_is_its_share() -> None:
    scale = number_scale(10, 20, 40, 60, most=80)
    found = shares_of(
        scale, window(100, n=counts(10, 10, 20, 20, 40)), window(100, n=counts(20, 20, 20, 20, 20))
    )
    drawn = histogram(found)
    assert drawn is not None
    assert drawn.to_scale
    areas = [bar.width * (drawn.base - bar.y) for bar in drawn.bars]
    assert [area / sum(areas) for area in areas] == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.4], abs=0.01)


@pytest.mark.parametrize("edges", [(0.0, 1e-9, 1.0, 2.0), (1.0, 1.001, 50.0, 51.0), (1e300, 2e300, 1.7e308)])
def test_ranges_of_very_different_widths_are_drawn_side_by_side(edges: tuple[float, ...]) -> None:
    scale = number_scale(*edges, least=-1e308, most=1.79e308)
    own = counts(*[20] * (len(edges) + 1))
    drawn = histogram(shares_of(scale, window(100, n=own), window(100, n=own)))
    assert drawn is not None
    assert not drawn.to_scale
    assert len({bar.width for bar in drawn.bars}) <= 2, "as wide as each other, but for rounding"


def test_a_number_of_few_values_has_a_bar_for_each_by_its_name() -> None:
    scale = number_scale(1, 2, 3, 4, least=1, most=5, known=5)
    found = shares_of(scale, window(50, n=counts(*[10] * 5)), window(50, n=counts(50, 0, 0, 0, 0)))
    assert [pair.label for pair in found.values] == ["1", "2", "3", "4", "5 or more"]
    assert found.values[0].now == 1


def test_a_window_without_a_value_is_drawn_all_the_same() -> None:
    scale = number_scale(10, 20, 40, 60)
    nothing = ColumnProfile(nulls=30, counts=(0,) * 5, distinct=0)
    found = shares_of(scale, window(100, n=counts(*[20] * 5)), window(30, n=nothing))
    assert found.nulls.now == 1
    assert math.isnan(found.values[0].now)
    assert histogram(found) is not None
    assert histogram(shares_of(scale, window(30, n=nothing), window(30, n=nothing))) is None


def test_a_weekday_is_compared_with_its_own_days_where_there_are_enough(quiet: Checked) -> None:
    known = quiet.reference
    many = known.model_copy(update={"days": tuple(window(10, place) for place in range(-70, 0))})
    found, name = days_like(many, window(10))
    assert {day.start.weekday() for day in found} == {0}
    assert name == "what nine of ten Mondays of the reference have"
    assert len(days_like(many.model_copy(update={"merged": True}), window(10))[0]) == 70
    assert len(days_like(known, window(10))[0]) == 40


def test_numbers_and_names_are_told_shortly() -> None:
    assert [number(value) for value in (None, 0.03961, 1246013, 2.5e7, math.nan)] == [
        "", "0.03961", "1,246,013", "2.5e+07", "not a number",
    ]  # fmt: skip
    assert [tick(value) for value in (0.25, 5000, 20000, 3e6, 4e9, 1e300)] == [
        "0.25", "5,000", "20k", "3M", "4G", "1e+300",
    ]  # fmt: skip
    assert [percent(share) for share in (None, 0, 0.1234, 0.00042, math.nan)] == [
        "", "0.0 %", "12.3 %", "0.042 %", "no rows",
    ]  # fmt: skip
    assert short("a\u202eb\nc") == "a b c"
    assert short("  ") == "(blank)"
    assert short("x" * 200) == "x" * 79 + "… (200 characters)"
