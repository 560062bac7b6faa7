"""What a comparison may cost: whatever comes when, a year's levels add up to no more than was declared."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Look
from tasks.gate import budget

START = datetime(2026, 1, 1, tzinfo=UTC)
pauses = st.lists(st.floats(0, 400), min_size=1, max_size=60)


def looks(rate: float, days: list[float]) -> list[Look]:
    """Comparisons with these pauses before each of them."""
    made: list[Look] = []
    at = START
    for pause in days:
        at += timedelta(days=pause)
        made.append(budget.allot(rate, made[-1] if made else None, at))
    return made


@given(pauses=pauses, rate=st.floats(0.001, 0.5))
def test_in_any_year_no_more_is_spent_than_was_declared(pauses: list[float], rate: float) -> None:
    made = looks(rate, pauses)
    for first in made:
        year = [look.alpha for look in made if timedelta(0) <= look.at - first.at < budget.YEAR]
        assert sum(year) <= rate + 1e-12
    assert all(look.alpha > 0 for look in made)


@pytest.mark.parametrize("days", [1, 7, 30])
def test_regular_comparisons_spend_most_of_it(days: int) -> None:
    """What is not spent is power that is given away."""
    made = looks(0.05, [days] * (2 * 365 // days))
    assert sum(look.alpha for look in made[len(made) // 2 :]) > 0.036


def test_twenty_comparisons_in_a_day_share_that_days_part() -> None:
    made = looks(0.05, [1] * 100 + [0] * 20 + [1] * 100)
    a_day = made[99].alpha
    assert sum(look.alpha for look in made[100:120]) < 2.1 * a_day
    assert made[119].alpha < a_day / 1000
    assert made[130].alpha == pytest.approx(a_day, rel=0.01)


def test_a_clock_that_goes_back_gives_nothing_then_nor_later() -> None:
    first = budget.allot(0.05, None, START)
    second = budget.allot(0.05, first, START - timedelta(days=900))
    third = budget.allot(0.05, second, START)
    assert second.available == first.available - first.alpha
    assert third.available == second.available - second.alpha


def test_a_smaller_rate_counts_at_once() -> None:
    first = budget.allot(0.5, None, START)
    assert budget.allot(0.01, first, START).available == 0.01 * budget.RESERVE
