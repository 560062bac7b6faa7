"""A few of the simulated years of benchmarks/drift_target_metrics.py, with fixed seeds."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift.target_rows import Made, promoted
from benchmarks.drift_target import CHANGE, alarms, delay
from benchmarks.drift_target_metrics import WORLDS, WORSE, flags, year

BY_NAME = {each.name: each for each in WORLDS}


def run(made: Made, metric: str, rows: int, seed: int, days: int) -> np.ndarray:
    rng = np.random.default_rng([seed, rows])
    of = year(made, rows, rng, days)
    return flags(made, of, promoted(made, metric, rng))


@pytest.mark.parametrize(
    ("world", "metric", "rows", "days"),
    [
        ("a third positive", "roc_auc", 1000, 5),
        ("a third positive", "brier", 100, 40),
        ("heavy-tailed errors", "mae", 100, 10),
        ("heavy-tailed errors", "rmse", 1000, 10),
    ],
)
def test_each_metric_is_quiet_until_the_model_is_worse(world: str, metric: str, rows: int, days: int) -> None:
    worse = replace(BY_NAME[world], worse=WORSE[BY_NAME[world].task])
    for seed in (10_000, 10_001):
        found = run(worse, metric, rows, seed, CHANGE + 60)
        assert not found[:CHANGE].any()
        assert (delay(found) or 999) <= days


def test_an_auc_that_was_promoted_on_fifty_positives_is_no_alarm_all_year() -> None:
    """This one was promoted too well by chance, by more than one standard error, and alarmed for 128 days."""
    assert alarms(run(BY_NAME["1 % positive"], "roc_auc", 1000, 1, 365), 0) == 0


def test_labels_that_are_late_alarm_once_they_are_there() -> None:
    late = replace(BY_NAME["a third positive, late labels"], worse=0.4)
    found = run(late, "accuracy", 200, 10_000, CHANGE + 28)
    assert not found[:CHANGE].any()
    assert (delay(found) or 999) <= 28
