"""The thresholds keep the rate that is asked for, also where days are alike."""

import numpy as np
import pytest

from tasks.monitoring.inputs.calibrate import Calibration
from tasks.monitoring.inputs.charts import detectors, pair_threshold, two_of_three

RATE = 2e-3
WINDOWS = 400_000


def standard(statistics: int) -> Calibration:
    """Of statistics whose days are independent and standard normal."""
    return Calibration(
        level=np.zeros((7, statistics)),
        between=np.ones(statistics),
        uncertain=np.zeros(statistics),
        autocorrelation=np.zeros(statistics),
        freedom=1e6,
        worst_pair=np.zeros(statistics),
    )


@pytest.mark.parametrize("autocorrelation", [0.0, 0.4, 0.8])
def test_two_of_three_windows_exceed_the_threshold_as_rarely_as_asked_for(autocorrelation: float) -> None:
    rng = np.random.default_rng(0)
    z = np.zeros(WINDOWS)
    news = rng.normal(size=WINDOWS) * np.sqrt(1 - autocorrelation**2)
    for window in range(1, WINDOWS):
        z[window] = autocorrelation * z[window - 1] + news[window]
    threshold = pair_threshold(autocorrelation, 1e6, RATE)

    found = two_of_three(z[:, None], np.ones((WINDOWS, 1), dtype=bool), np.array([threshold]))

    # The sum over both pairs is an upper bound, near where they are rare.
    assert 0.5 * RATE < found.mean() <= 1.1 * RATE


def test_few_days_ask_for_more_than_many() -> None:
    thresholds = [pair_threshold(0.0, freedom, 1e-5) for freedom in (19.0, 89.0, 1e5)]
    assert thresholds == sorted(thresholds, reverse=True)


def test_the_slow_chart_alarms_less_often_than_declared_and_finds_a_small_change() -> None:
    rng = np.random.default_rng(1)
    statistics, windows, rate = 50, 2_000, 1 / 500
    usual = standard(statistics)
    everything = np.ones((windows, statistics), dtype=bool)
    runs, run = [], rng.normal(size=(windows, statistics))
    for _ in range(10):
        evidence = detectors(rng.normal(size=(windows, statistics)), everything, np.zeros(1), usual, 1 / rate)
        over = np.flatnonzero(evidence.sum(axis=1) / statistics >= 1 / rate)
        runs.append(over[0] if len(over) else windows)
    run[100:, 0] += 1.5
    evidence = detectors(run[:140], everything[:140], np.zeros(1), usual, 1 / rate).sum(axis=1) / statistics

    assert np.mean(runs) > 1 / rate
    assert (evidence[:100] < 1 / rate).all()
    assert (evidence[100:130] >= 1 / rate).any()


def test_a_change_that_is_over_is_no_evidence_for_the_next_window_that_is_a_little_off() -> None:
    z = np.concatenate([np.full(20, 2.5), np.zeros(15), [1.0]])[:, None]
    found = detectors(z, z >= 1.0, np.zeros(1), standard(1), 1_000)[:, 0]
    assert found[19] > 1_000
    assert found[-1] < 10
