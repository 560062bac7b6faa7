"""The evidence holds at every look, and says what is so in the end."""

from math import log

import numpy as np
import pytest

from tasks.release.sequential_test import Values, log_above, log_below, log_over, log_under

LOOKS = 40
ALARM = log(1 / 0.05)


def looked(random: np.random.Generator, mean: float, rows: int) -> list[Values]:
    hits = np.cumsum(random.random(rows * LOOKS) < mean)
    return [Values(each * rows, float(hits[each * rows - 1])) for each in range(1, LOOKS + 1)]


def test_looking_forty_times_alarms_no_more_often_than_was_declared() -> None:
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        one, other = looked(random, 0.12, 25), looked(random, 0.10, 100)
        alarms += any(
            log_above(first, second, 0.02) >= ALARM for first, second in zip(one, other, strict=True)
        )

    assert alarms <= 400 * 0.05


def test_what_is_beyond_the_margin_is_found() -> None:
    random = np.random.default_rng(2)
    one, other = looked(random, 0.25, 25)[-1], looked(random, 0.10, 100)[-1]

    assert log_above(one, other, 0.02) > ALARM
    assert log_below(one, other, 0.02) < 0


def test_what_is_surely_within_the_margin_is_good() -> None:
    one, other = Values(2000, 20.0), Values(8000, 80.0)

    assert log_below(one, other, 0.02) > ALARM
    assert log_above(one, other, 0.02) < 0


def test_one_mean_against_a_bound() -> None:
    assert log_under(Values(200, 150.0), 0.9) > ALARM
    assert log_under(Values(200, 190.0), 0.9) < 0
    assert log_over(Values(200, 199.0), 0.9) > ALARM
    assert log_over(Values(200, 150.0), 0.9) < 0


def test_losses_between_0_and_1_count_as_well_as_right_and_wrong() -> None:
    """A mean of fractions is no more alarming than one of hits: it is what the Bernoulli's bound is for."""
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        losses = np.cumsum(random.beta(2, 6, size=1000))
        alarms += any(
            log_over(Values(rows, float(losses[rows - 1])), 0.25) >= ALARM for rows in range(50, 1001, 50)
        )

    assert alarms <= 300 * 0.05


@pytest.mark.parametrize("margin", [0.0, 0.5, 0.99])
def test_nothing_is_said_of_nothing(margin: float) -> None:
    assert log_above(Values(0, 0), Values(100, 3), margin) == 0
    assert log_below(Values(100, 3), Values(0, 0), margin) == 0
    assert log_over(Values(0, 0), 0.5) == 0
