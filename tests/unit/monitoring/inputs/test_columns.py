"""Columns that change are found soon and named; those that do not are left alone."""

import numpy as np
import pandas as pd
import pytest

from tasks.contracts import ColumnProfile, ColumnScale, Reference
from tasks.monitoring.inputs.columns import look_at_columns
from tasks.monitoring.inputs.statistics import measure
from tasks.spec import ColumnRule, MonitorSpec
from tests.unit.monitoring.inputs.simulated import RATE, RULES, Change, Watch, sure


def some(rows: pd.DataFrame, share: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(np.arange(len(rows)) < share * len(rows))


CHANGES: dict[str, tuple[Change, tuple[str, str], str]] = {
    "a third of a standard deviation": (
        lambda rows: rows.assign(amount=rows["amount"] * np.exp(0.32)),
        ("amount", "location"),
        "higher by",
    ),
    "nulls of a tenth": (
        lambda rows: rows.assign(amount=rows["amount"].mask(some(rows, 0.1))),
        ("amount", "nulls"),
        "missing, usually 0.",
    ),
    "a new value of a twentieth": (
        lambda rows: rows.assign(kind=rows["kind"].mask(some(rows, 0.05), "new")),
        ("kind", "new_values"),
        "values that the reference does not have",
    ),
    "a rare value that became common": (
        lambda rows: rows.assign(kind=rows["kind"].mask(some(rows, 0.25), "d")),
        ("kind", "shares"),
        "d, usually",
    ),
    "blank texts": (
        lambda rows: rows.assign(text=rows["text"].mask(some(rows, 0.3), "  ")),
        ("text: characters", "blank_texts"),
        "blank",
    ),
    "texts that are cut off": (
        lambda rows: rows.assign(text=rows["text"].str[:40]),
        ("text: characters", "location"),
        "lower by",
    ),
    "a number in another unit": (
        lambda rows: rows.assign(amount=rows["amount"] * 1.609344),
        ("amount", "unit_change"),
        "miles and kilometres",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_named_by_its_own_reason_within_two_days(name: str) -> None:
    change, expected, words = CHANGES[name]
    watch = Watch()
    for _ in range(3):
        assert sure(watch.next()) == []

    found = [*watch.next(change), *watch.next(change)]

    assert expected in sure(found)
    why = [one.why for one in found if (one.subject, one.reason) == expected]
    assert words in why[-1]


def test_half_a_year_of_ordinary_days_is_quiet() -> None:
    watch = Watch(days=90)
    assert [found for _ in range(182) if (found := sure(watch.next()))] == []


def test_a_ramp_is_found_long_before_it_ends() -> None:
    watch = Watch(days=90, rows=2000)
    for number in range(30):
        shift = number / 60 * 0.5
        if sure(watch.next(lambda rows, shift=shift: rows.assign(amount=rows["amount"] * np.exp(shift)))):
            return
    pytest.fail("a quarter of a standard deviation was not found in 30 days")


def test_what_is_certain_but_tiny_is_noted_and_does_not_alarm() -> None:
    watch = Watch(rows=5_000, rules=MonitorSpec(number_floor=0.5, share_floor=0.2))

    found = [watch.next(lambda rows: rows.assign(amount=rows["amount"] * np.exp(0.3))) for _ in range(3)]

    assert sure([one for day in found for one in day]) == []
    assert "note" in {one.level for one in found[-1] if one.subject == "amount"}


def test_a_column_that_nobody_watches_is_left_alone_and_one_with_a_floor_goes_by_it() -> None:
    def moved(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(amount=rows["amount"] * np.exp(0.4))

    unwatched = Watch(rules=MonitorSpec(columns={"amount": ColumnRule(watch=False)}))
    floored = Watch(rules=MonitorSpec(columns={"amount": ColumnRule(floor=0.9)}, share_floor=0.5))

    assert sure([*unwatched.next(moved), *unwatched.next(moved)]) == []
    assert sure([*floored.next(moved), *floored.next(moved)]) == []


def test_one_freak_day_does_not_alarm_and_a_second_one_does() -> None:
    watch = Watch()

    def freak(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(amount=rows["amount"] * np.exp(0.29))

    first = watch.next(freak)
    assert sure(first) == []
    assert "suspicious" in {one.level for one in first}
    assert ("amount", "location") in sure(watch.next(freak))


def test_with_too_few_days_only_large_changes_count_and_that_is_said() -> None:
    watch = Watch(days=8)
    found = look_at_columns(watch.reference, [*watch.windows, watch.reference.days[0]], RULES, RATE)
    assert not found.calibrated

    small = [watch.next(lambda rows: rows.assign(amount=rows["amount"] * 1.1)) for _ in range(3)]
    large = [watch.next(lambda rows: rows.assign(amount=rows["amount"] * np.exp(1.5))) for _ in range(3)]

    assert sure([one for day in small for one in day]) == []
    assert ("amount", "location") in sure(large[-1])
    assert "nobody knows yet how much days differ" in large[-1][0].why


def test_the_same_windows_give_the_same_signals_after_a_round_trip_through_json() -> None:
    watch = Watch()
    signals = [watch.next(CHANGES["nulls of a tenth"][0]) for _ in range(3)][-1]

    reference = Reference.model_validate_json(watch.reference.model_dump_json())
    windows = [type(one).model_validate_json(one.model_dump_json()) for one in watch.windows]

    assert list(look_at_columns(reference, windows, RULES, RATE).signals) == signals


def test_an_empty_window_says_nothing_of_its_columns() -> None:
    watch = Watch()
    watch.next()
    assert sure(watch.next(lambda rows: rows[:0])) == []


@pytest.mark.parametrize(
    ("edges", "largest", "names"),
    [
        ((1.0, 2.0, 3.0), 4.0, ["up to 1", "2", "3", "above 3"]),
        ((1.0, 2.0, 4.0), 5.0, ["up to 1", "2", "above 2 and up to 4", "above 4"]),
        ((1.0, 1.5, 2.5), 4.0, ["up to 1", "above 1 and up to 1.5", "above 1.5 and up to 2.5", "above 2.5"]),
    ],
)
def test_a_range_of_one_whole_number_is_named_by_it(
    edges: tuple[float, ...], largest: float, names: list[str]
) -> None:
    own = {"column": "weekday", "kind": "number", "edges": edges, "known": 4}
    scale = ColumnScale.model_validate({**own, "minimum": 1.0, "maximum": largest, "mean": 2.5})
    seen = ColumnProfile.model_validate({"nulls": 0, "counts": [25, 25, 25, 25]})
    told = measure(scale, [seen], [100], np.full((4, 1), 25.0)[:, 0]).statistics
    assert [each.value for each in told if each.of_range] == names
