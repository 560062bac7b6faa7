"""The evidence keeps its promise for every bounded loss, and gives it up to none sooner."""

from collections.abc import Callable
from math import exp, log

import numpy as np
import pytest

from tasks.monitoring.target.evidence import CAP, Measured, Null, log_e_values, log_threshold, path
from tasks.monitoring.target.expectation import Known, expect

ROWS, MEAN = 200, 0.11
RNG = np.random.default_rng(1)


def beta(size: tuple[int, int]) -> np.ndarray:
    return RNG.beta(0.11 * 3, 0.89 * 3, size)


def zero_or_one(size: tuple[int, int]) -> np.ndarray:
    return (RNG.random(size) < MEAN).astype(float)


@pytest.mark.parametrize("losses", [beta, zero_or_one])
def test_an_e_value_expects_at_most_one_while_the_mean_is_allowed(
    losses: Callable[[tuple[int, int]], np.ndarray],
) -> None:
    null = Null(MEAN, between=0.0, unit=0.01)
    found = np.exp([log_e_values(Measured(each.mean(), ROWS), null) for each in losses((4000, ROWS))])
    # Of the largest alternatives the mean rests on a handful of draws.
    error = found.std(axis=0) / len(found) ** 0.5
    assert (found.mean(axis=0)[:3] <= 1 + 3 * error[:3]).all()


def test_days_that_differ_count_as_fewer_rows() -> None:
    days = np.clip(MEAN + 0.02 * RNG.standard_normal(4000), 0.001, 1)
    seen = [Measured(RNG.binomial(2000, day) / 2000, 2000) for day in days]
    ignored, known = (
        np.exp([log_e_values(each, Null(MEAN, between, 0.01)) for each in seen])[:, 1].mean()
        for between in (0.0, 0.02**2)
    )
    assert known <= 1.1
    assert ignored > 100


def test_the_average_run_is_at_least_as_long_as_declared() -> None:
    """At the very boundary, where false alarms are the most frequent."""
    threshold, runs = log_threshold(365 / 100, 365), []
    for _ in range(60):
        seen = RNG.binomial(100, MEAN, 800) / 100
        null = Null(MEAN, 0.0, 0.02)
        found = path([log_e_values(Measured(each, 100), null) for each in seen], threshold)
        above = np.flatnonzero(found.log_evidence >= threshold)
        runs.append(above[0] + 1 if len(above) else 800)
    assert threshold == pytest.approx(log(100))
    assert np.mean(runs) >= 100


def test_evidence_says_since_when_and_is_forgotten_once_the_model_has_recovered() -> None:
    null, threshold = Null(MEAN, 0.0, 0.01), log(1000)
    shares = [0.1] * 50 + [0.2] * 30 + [0.08] * 40
    found = path([log_e_values(Measured(each, 200), null) for each in shares], threshold)
    assert found.log_evidence[49] < log(10)
    assert found.log_evidence[60] >= threshold
    assert found.since[60] == 50
    assert found.log_evidence.max() <= threshold + CAP + 1e-9
    assert found.log_evidence[-1] < threshold


def test_one_strange_day_does_not_alarm_alone() -> None:
    null = Null(25.0, 1.0, 1.0)
    assert exp(log_e_values(Measured(1e9, 50, 4.0), null).max()) < exp(8.1)


def test_the_first_windows_move_the_expectation_only_within_the_promotions_interval() -> None:
    known = Known(0.10, 0.005, 0.09, 0.11)
    worse = np.full(28, 0.16)
    found = expect(worse, np.full(28, 0.0001), known, 1e-4)
    assert found is not None
    assert found.center == 0.11


def test_windows_like_the_one_before_say_less() -> None:
    steps = np.repeat(RNG.standard_normal(7), 4) * 0.03 + 0.1
    mixed = RNG.permutation(steps)
    alike, unlike = (expect(each, np.full(28, 1e-6), None, 1e-4) for each in (steps, mixed))
    assert alike is not None
    assert unlike is not None
    assert alike.between > 2 * unlike.between


def test_too_few_windows_and_no_promotion_expect_nothing() -> None:
    assert expect(np.array([0.1] * 6), np.array([1e-4] * 6), None, 1e-4) is None
