"""Real taxi days: ordinary months are quiet, and the spring of 2020 alarms.

The files are no part of the repository.
"""

from datetime import date

import pytest

from benchmarks.drift import real
from benchmarks.drift.ours import RATE, RULES

pytestmark = pytest.mark.skipif(not real.has_taxi(), reason="the folder shared/data/taxi is not here")


@pytest.fixture(scope="module")
def days() -> real.Rows:
    return real.taxi()


def test_three_ordinary_months_after_three_others_are_quiet(days: real.Rows) -> None:
    found = real.series(days, real.TAXI_COLUMNS, 0, 90, 90)
    assert not found.ours(RULES, RATE).any()


def test_the_spring_of_2020_alarms_within_two_days(days: real.Rows) -> None:
    ordinary = {day: rows for day, rows in days.items() if date(2018, 9, 1) <= day < date(2019, 1, 1)}
    april = {day: rows for day, rows in days.items() if day >= date(2020, 4, 1)}
    found = real.series(ordinary | april, real.TAXI_COLUMNS, 0, len(ordinary), 5)
    assert found.ours(RULES, RATE)[:2].any()
