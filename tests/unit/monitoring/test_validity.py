from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tasks.contracts import WindowProfile
from tasks.monitoring.validity import look_at_validity

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
RATE = 0.05 / 365


def windows(*rows: int) -> list[WindowProfile]:
    """Days with so many rows each."""
    return [
        WindowProfile(
            start=START + number * DAY,
            end=START + (number + 1) * DAY,
            rows=count,
            different_rows=count,
            columns={},
        )
        for number, count in enumerate(rows)
    ]


def usual(mean: float, days: int = 60) -> list[int]:
    return [int(count) for count in np.random.default_rng(0).poisson(mean, days)]


def levels(found: list[WindowProfile]) -> list[tuple[str, str]]:
    return [(signal.reason, signal.level) for signal in look_at_validity(None, found, RATE)]


@pytest.mark.parametrize("rows", [0, 1, 5, 30, 90])
def test_the_worse_a_collapse_the_surer_is_one_day_of_it(rows: int) -> None:
    assert levels(windows(*usual(900), rows)) == [("volume_low", "incident")]


def test_half_of_the_rows_takes_two_days_to_be_sure() -> None:
    assert levels(windows(*usual(900), 430)) == [("volume_low", "suspicious")]
    assert levels(windows(*usual(900), 430, 440)) == [("volume_low", "incident")]


def test_where_days_have_a_handful_of_rows_a_day_without_any_is_nothing() -> None:
    assert levels(windows(*usual(3), 0)) == []


def test_a_doubled_volume_is_told_and_so_is_one_of_ten_times_at_once() -> None:
    assert levels(windows(*usual(900), 1900, 1850)) == [("volume_high", "incident")]
    assert levels(windows(*usual(900), 9000)) == [("volume_high", "incident")]
