"""The calibration error is small where probabilities come true and large where they do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from tasks.contracts import Metric
from tasks.evaluation import metrics
from tasks.evaluation.answers import Answers, Target
from tasks.evaluation.calibration import BINS

TWO = Target("binary", (0, 1))
NAME = "calibration_error"


def measured(truth: np.ndarray, scores: np.ndarray, target: Target = TWO) -> Metric:
    predictions = scores.argmax(axis=1) if scores.ndim > 1 else (scores > 0.5).astype(int)
    [metric] = metrics.measure([NAME], target, truth, Answers(predictions, scores)).metrics
    return metric


def draw(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.random(rows)
    return (rng.random(rows) < scores).astype(np.int64), scores


def test_probabilities_that_come_true_have_a_small_error_and_exaggerated_ones_a_large_one() -> None:
    truth, scores = draw(5000, 1)
    honest, bold = measured(truth, scores), measured(truth, (scores > 0.5) * 0.98 + 0.01)
    assert honest.high < 0.05
    assert bold.low > 0.2


@given(seed=st.integers(0, 1000), rows=st.integers(20, 300))
def test_it_is_the_gap_of_scikit_learns_curve_weighted_by_rows_and_in_its_interval(
    seed: int, rows: int
) -> None:
    truth, scores = draw(rows, seed)
    came_true, said = calibration_curve(truth, scores, n_bins=BINS)
    sizes = np.bincount(np.minimum((scores * BINS).astype(int), BINS - 1), minlength=BINS)

    found = measured(truth, scores)

    assert found.value == pytest.approx(np.average(np.abs(came_true - said), weights=sizes[sizes > 0]))
    assert found.low <= found.value <= found.high


def test_of_several_classes_the_predicted_one_is_looked_at() -> None:
    truth, scores = np.array([0, 1, 2, 2]), np.array([[0.8, 0.1, 0.1]] * 2 + [[0.1, 0.1, 0.8]] * 2)
    target = Target("multiclass", ("bee", "fly", "wasp"))
    assert metrics._point(NAME, target, truth, Answers(truth, scores)) == pytest.approx(0.05)


def test_scores_that_are_no_probabilities_have_none() -> None:
    found = metrics.measure([NAME], TWO, np.array([0, 1]), Answers(np.array([0, 1]), np.array([-3.0, 4.0])))
    assert found.undefined == {NAME: "the scores are no probabilities"}
