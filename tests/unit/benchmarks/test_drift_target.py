"""The simulated years of benchmarks/drift_target.py, a few of them, with fixed seeds."""

import numpy as np
import pytest

from benchmarks.drift_target import (
    CHANGE,
    CHANGES,
    QUIET,
    RULES,
    World,
    alarms,
    delay,
    ours,
    plain,
    three_of_five,
    year,
)
from tasks.monitoring.target.signals import signals

BY_NAME = {each.name: each for each in CHANGES}


@pytest.mark.parametrize("rows", [100, 1000])
def test_years_of_ordinary_days_are_quiet_where_peers_alarm(rows: int) -> None:
    quiet = [year(QUIET, rows, seed) for seed in range(10)]
    assert sum(alarms(ours(*each), 0) for each in quiet) <= 1
    assert sum(alarms(plain(*each), 7) for each in quiet) > 100


@pytest.mark.parametrize(
    ("world", "rows", "days"),
    [
        ("error 10 -> 13 %", 1000, 20),
        ("error 10 -> 16 %", 1000, 5),
        ("error 10 -> 16 %", 100, 20),
        ("labels inverted", 100, 1),
        ("prior 33 -> 50 %", 100, 8),
    ],
)
def test_changes_are_found_within_days(world: str, rows: int, days: int) -> None:
    delays = [delay(ours(*year(BY_NAME[world], rows, seed, CHANGE + 60))) for seed in range(9)]
    assert np.median([each or 999 for each in delays]) <= days


def test_a_day_is_judged_alike_alone_and_in_its_year() -> None:
    """What the benchmark reads off a whole year is what each day's check would have said."""
    promoted, windows = year(World("worse", error=0.16), 100, 3, CHANGE + 30)
    flags = ours(promoted, windows)
    for day in range(CHANGE - 5, CHANGE + 30, 5):
        found = signals(windows[: day + 1], promoted, RULES)
        assert any(each.level in {"alarm", "incident"} for each in found) == flags[day]


def test_an_alarm_that_goes_on_is_one() -> None:
    flags = np.array([0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1], bool)
    assert (alarms(flags, 0), alarms(flags, 7)) == (3, 2)
    assert three_of_five(*year(QUIET, 100, 0)).sum() < 50
