"""What is kept of how good a model was: what its windows' labels say, and what was expected of it."""

import pytest

from tasks.contracts import MeasuredWindows, TargetReference, TargetSummary
from tasks.monitoring.target.measured import MOST_WINDOWS, measured
from tasks.monitoring.target.signals import series
from tasks.spec import MonitorSpec
from tests.unit.monitoring.target.simulated import numbers, promoted, two_classes

BINARY = promoted(accuracy=0.819, roc_auc=0.8745, brier=0.1266)


def kept(history: list[TargetSummary], reference: TargetReference = BINARY) -> MeasuredWindows | None:
    return measured(series(history, reference), history, reference, MonitorSpec())


def test_the_newest_windows_with_labels_are_kept_with_what_was_expected() -> None:
    history = [two_classes(day) for day in range(40)]
    found = kept(history)
    assert found is not None
    assert (found.metric, len(found.windows)) == ("accuracy", MOST_WINDOWS)
    for window, summary in zip(found.windows, history[-MOST_WINDOWS:], strict=True):
        right = sum(summary.every.right.values())
        assert (window.start, window.labelled) == (summary.window_start, summary.every.labelled)
        assert window.value == pytest.approx(right / summary.every.labelled, abs=1e-6)
        assert window.low <= window.value <= window.high
        assert window.threshold is not None
        assert 0.75 < window.threshold < 0.819


def test_of_an_error_less_is_better_and_the_threshold_lies_above() -> None:
    reference = promoted("regression", "rmse", rmse=5.0, mae=4.0, r2=0.94)
    found = kept([numbers(day) for day in range(10)], reference)
    assert found is not None
    assert found.metric == "rmse"
    assert all(each.threshold is not None and each.threshold > 5.0 for each in found.windows)


def test_without_labels_there_is_nothing_to_keep() -> None:
    bare = [
        each.model_copy(update={"every": each.every.model_copy(update={"labelled": 0})})
        for each in [two_classes(0)]
    ]
    assert kept(bare) is None
    assert kept([]) is None
