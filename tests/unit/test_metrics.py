"""Metrics and their intervals: right where they are defined, absent where they are not, and wide enough."""

import time
import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from tasks.evaluation import metrics
from tasks.evaluation.answers import Answers, classes_of, encode
from tasks.spec import METRICS, MetricName, Task, metrics_of


def draw(rows: int, right: float, seed: int, classes: int = 2) -> tuple[np.ndarray, Answers]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    predictions = np.where(rng.random(rows) < right, truth, (truth + 1) % classes)
    if classes > 2:
        return truth, Answers(predictions, None, rng.dirichlet(np.ones(classes), rows))
    return truth, Answers(predictions, np.clip(predictions * 0.6 + rng.random(rows) * 0.4, 0, 1))


def draw_numbers(rows: int, noise: float, seed: int) -> tuple[np.ndarray, Answers]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(10, 30, rows)
    return truth, Answers(truth + rng.normal(0, noise, rows))


def resampled(name: str, truth: np.ndarray, answers: Answers, classes: int) -> float:
    """What is computed for one draw, which holds each row once."""
    columns = (column[None] for column in metrics._columns(name, truth, answers))
    return float(metrics._over_draws(name, classes, *columns, axis=1)[0])


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 4)])
def test_the_resampled_metrics_are_scikit_learns(task: Task, classes: int) -> None:
    for seed in range(20):
        truth, answers = draw(60, 0.7, seed, classes)
        answers.predictions[:3] = -1
        if answers.scores is not None:
            answers.scores[:30] = 0.5
        for name in metrics_of(task):
            assert metrics.undefined_because(name, truth, answers, classes) is None
            expected = metrics._point(name, truth, answers, classes)
            assert resampled(name, truth, answers, classes) == pytest.approx(expected), name


def test_the_resampled_metrics_of_a_regression_are_scikit_learns() -> None:
    for seed in range(20):
        truth, answers = draw_numbers(61, 5, seed)
        for name in metrics_of("regression"):
            expected = metrics._point(name, truth, answers, 0)
            assert resampled(name, truth, answers, 0) == pytest.approx(expected), name


@pytest.mark.parametrize("name", metrics_of("regression"))
def test_of_two_regressions_the_better_one_is_found(name: MetricName) -> None:
    truth, good = draw_numbers(2000, 5, seed=1)
    _, bad = draw_numbers(2000, 8, seed=1)
    bad = Answers(truth + (bad.predictions - truth) + 1)

    found = metrics.difference(name, truth, bad, good, 0)

    assert found is not None
    assert found.low < found.difference < found.high
    assert (found.high < 0) if METRICS[name].larger_is_better else (found.low > 0)


def test_a_regression_that_leaves_a_row_without_a_number_has_no_metric() -> None:
    truth, answers = draw_numbers(100, 5, seed=1)
    answers.predictions[7] = np.nan

    assert metrics.measure_all("regression", truth, answers, 0) == ()
    why = metrics.undefined_because("rmse", truth, answers, 0)
    assert why == "1 of 100 rows were not answered with a number"


def test_the_recall_of_each_class_is_told() -> None:
    truth = np.array([0, 0, 0, 0, 2, 2])
    answers = Answers(np.array([0, 0, 0, 1, -1, 1]))

    found = metrics.measure_classes(truth, answers, ["bee", "fly", "wasp"])

    assert [(metric.name, metric.value) for metric in found] == [
        ("recall of bee", 0.75),
        ("recall of wasp", 0),
    ]
    assert all(metric.low <= metric.value < metric.high for metric in found)


def test_every_metric_lies_in_its_interval() -> None:
    truth, answers = draw(500, 0.85, seed=1)

    found = {metric.name: metric for metric in metrics.measure_all("binary", truth, answers, 2)}

    assert set(found) == set(metrics_of("binary"))
    assert all(metric.low < metric.value < metric.high for metric in found.values())
    assert found["roc_auc"].value == pytest.approx(reference.roc_auc_score(truth, answers.scores))
    assert found["balanced_accuracy"].value == pytest.approx(
        reference.balanced_accuracy_score(truth, answers.predictions)
    )


def test_a_model_that_is_always_right_is_not_surely_perfect() -> None:
    truth, answers = draw(50, 1.0, seed=1)

    accuracy = metrics.measure("accuracy", truth, answers, 2)

    assert accuracy is not None
    assert (accuracy.value, accuracy.high) == (1.0, 1.0)
    assert accuracy.low == pytest.approx(0.929, abs=0.001)


def test_a_metric_that_is_not_defined_is_left_out_and_says_why() -> None:
    truth, answers = draw(100, 0.8, seed=1)
    one_class = np.zeros(100, dtype=np.int64)
    no_scores = Answers(answers.predictions, None)
    a_gap = Answers(answers.predictions, np.where(np.arange(100) == 3, np.nan, answers.scores))
    margins = Answers(answers.predictions, answers.scores * 10 - 5)

    def names(truth: np.ndarray, answers: Answers, classes: int = 2) -> set[str]:
        return {metric.name for metric in metrics.measure_all("binary", truth, answers, classes)}

    by_prediction = {"accuracy", "balanced_accuracy", "f1", "precision", "recall"}
    assert names(truth, no_scores) == by_prediction
    assert names(truth, a_gap) == by_prediction
    assert names(truth % 2, answers, classes=3) == {"accuracy", "balanced_accuracy"}
    assert names(truth, margins) == {*by_prediction, "roc_auc", "average_precision"}
    assert "roc_auc" not in names(one_class, answers)
    assert metrics.undefined_because("roc_auc", one_class, answers, 2) == "all the rows have the same label"
    assert metrics.measure_all("binary", truth[:0], answers.where(truth > 9), 2) == ()


def test_answers_that_are_no_label_count_as_wrong() -> None:
    classes = classes_of([0, 1], [1])
    truth = encode([0, 1, 1, 0], classes)
    answers = Answers(encode([None, "1", {"a": 1}, 0], classes), None)

    accuracy = metrics.measure("accuracy", truth, answers, 2)

    assert accuracy is not None
    assert accuracy.value == 0.25


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 0, 1], (0, 1)),
        ([True, False], (False, True)),
        (["no", "yes"], ("no", "yes")),
        ([1, "a", 2.5], (2.5, 1, "a")),
    ],
)
def test_labels_of_any_type_have_one_order(labels: list[object], classes: tuple[object, ...]) -> None:
    assert classes_of(labels, labels[::-1]) == classes


def test_the_paired_interval_of_accuracy_holds_its_confidence() -> None:
    """Of 300 pairs of models that differ by 3 points, the interval must miss the truth about 15 times."""
    missed = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 400)
        champion = np.where(rng.random(400) < 0.9, truth, 1 - truth)
        candidate = np.where(rng.random(400) < 0.03 / 0.9, 1 - truth, champion) * (
            champion == truth
        ) + champion * (champion != truth)
        found = metrics.difference("accuracy", truth, Answers(candidate, None), Answers(champion, None), 2)
        assert found is not None
        missed += not found.low <= -0.03 <= found.high
    assert missed <= 27


def test_equal_answers_on_few_rows_leave_room_for_a_difference() -> None:
    truth, answers = draw(200, 0.9, seed=1)

    found = metrics.difference("accuracy", truth, answers, answers, 2)

    assert found is not None
    assert (found.difference, found.p_value) == (0, 1)
    assert found.low < -0.005 < 0.005 < found.high


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"])
def test_pairing_tells_apart_what_two_separate_intervals_do_not(name: str) -> None:
    truth, champion = draw(2000, 0.80, seed=3)
    repaired = (champion.predictions != truth) & (np.arange(2000) % 8 == 0)
    candidate = Answers(
        np.where(repaired, truth, champion.predictions),
        np.where(repaired, 0.2 + truth * 0.6, champion.scores),
    )

    one, other = (metrics.measure(name, truth, answers, 2) for answers in (candidate, champion))
    paired = metrics.difference(name, truth, candidate, champion, 2)

    assert one is not None
    assert other is not None
    assert paired is not None
    assert max(one.low, other.low) < min(one.high, other.high)
    assert paired.low > 0 or paired.high < 0


def test_mcnemars_exact_p_value() -> None:
    assert metrics.mcnemar(0, 0) == 1
    assert metrics.mcnemar(1, 8) == pytest.approx(0.0390625)
    assert metrics.mcnemar(5, 5) == 1


def test_the_same_rows_give_the_same_interval() -> None:
    truth, answers = draw(300, 0.8, seed=5)
    assert metrics.measure_all("binary", truth, answers, 2) == metrics.measure_all(
        "binary", truth, answers, 2
    )


def test_a_full_evaluation_of_five_thousand_rows_takes_less_than_ten_seconds_of_this_process() -> None:
    truth, candidate = draw(5000, 0.9, seed=1)
    _, champion = draw(5000, 0.9, seed=1)
    start = time.process_time()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for answers in (candidate, champion):
            metrics.measure_all("binary", truth, answers, 2)
        metrics.difference("roc_auc", truth, candidate, champion, 2)

    assert time.process_time() - start < 10
