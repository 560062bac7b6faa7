"""Metrics and their intervals: right where they are defined, absent where they are not, and wide enough."""

import time
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from tasks.evaluation import classification, metrics, shares
from tasks.evaluation.answers import Answers, Judged, Target
from tasks.evaluation.metrics import Measured
from tasks.evaluation.scoring import Scores
from tasks.spec import Task, kind_of, metrics_of

TWO = Target("binary", (0, 1))
FOUR = Target("multiclass", ("bee", "fly", "hornet", "wasp"))
NUMBER = Target("regression")
TARGETS: dict[Task, Target] = {"binary": TWO, "multiclass": FOUR, "regression": NUMBER}
COMPARED = [
    (target, name)
    for target in TARGETS.values()
    for name in metrics_of(target.task)
    if kind_of(name).can_compare
]


def draw(rows: int, right: float, seed: int, target: Target = TWO) -> tuple[np.ndarray, Answers]:
    """Labels, and answers a share of which is right; of numbers, the nearer to 1 the less wrong."""
    rng = np.random.default_rng(seed)
    if target.task == "regression":
        truth = rng.normal(10, 30, rows)
        return truth, Answers(truth + rng.normal(0, 30 * (1 - right), rows))
    classes = len(target.classes)
    truth = rng.integers(0, classes, rows)
    predictions = np.where(rng.random(rows) < right, truth, (truth + 1) % classes)
    if target.task == "multiclass":
        chances = rng.dirichlet(np.ones(classes), rows) * 0.4 + np.eye(classes)[predictions] * 0.6
        return truth, Answers(predictions, chances)
    return truth, Answers(predictions, np.clip(predictions * 0.6 + rng.random(rows) * 0.4, 0, 1))


def measure(truth: np.ndarray, answers: Answers, target: Target = TWO, *names: str) -> Measured:
    return metrics.measure(names or metrics_of(target.task), target, truth, answers)


def repeated(values: Any, times: np.ndarray) -> Any:
    return None if values is None else np.repeat(values, times, axis=0)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_draw_gives_what_scikit_learn_says_of_its_rows(target: Target) -> None:
    for seed in range(20):
        truth, answers = draw(61, 0.7, seed, target)
        if target is TWO and answers.scores is not None:
            answers.scores[:30] = 0.5
        if target is not NUMBER:
            answers.predictions[:3] = -1
        times = np.random.default_rng(seed).multinomial(61, np.full(61, 1 / 61))
        drawn = Answers(repeated(answers.predictions, times), repeated(answers.scores, times))
        for name in metrics_of(target.task):
            if name == "precision" or not shares.is_share(name):
                over = metrics._statistic(name, target, truth, answers)(np.array([times, times], float))
                expected = metrics._point(name, target, np.repeat(truth, times), drawn)
                assert over == pytest.approx([expected, expected]), name


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_metric_lies_in_its_interval(target: Target) -> None:
    found = measure(*draw(500, 0.85, 1, target), target)

    assert [metric.name for metric in found.metrics] == [
        *(name for name in metrics_of(target.task) if shares.is_share(name)),
        *(name for name in metrics_of(target.task) if not shares.is_share(name)),
    ]
    assert all(metric.low < metric.value < metric.high for metric in found.metrics)
    assert found.undefined == {}


def test_shares_of_rows_are_scikit_learns() -> None:
    truth, answers = draw(500, 0.85, seed=1)

    found = {metric.name: metric.value for metric in measure(truth, answers).metrics}

    for name in ("accuracy", "precision", "recall"):
        assert found[name] == pytest.approx(getattr(reference, f"{name}_score")(truth, answers.predictions))


@pytest.mark.parametrize(("target", "name"), COMPARED, ids=lambda value: getattr(value, "task", value))
def test_of_two_models_the_better_one_is_found(target: Target, name: str) -> None:
    truth, good = draw(2000, 0.9, 1, target)
    _, bad = draw(2000, 0.8, 1, target)

    found = metrics.difference(name, target, truth, bad, good)

    assert found is not None
    assert found.low < found.difference < found.high
    assert (found.high < 0) if kind_of(name).larger_is_better else (found.low > 0)


def test_a_model_that_is_always_right_is_not_surely_perfect() -> None:
    found = {metric.name: metric for metric in measure(*draw(50, 1.0, seed=1)).metrics}

    assert (found["accuracy"].value, found["accuracy"].high) == (1.0, 1.0)
    assert found["accuracy"].low == pytest.approx(0.929, abs=0.001)
    assert found["precision"].low < 0.9
    assert found["recall"].low < 0.9


def test_a_model_that_never_calls_a_row_positive_has_no_precision_that_is_known() -> None:
    truth, _ = draw(100, 1, seed=1)

    [precision] = measure(truth, Answers(np.zeros(100, dtype=np.int64)), TWO, "precision").metrics

    assert (precision.value, precision.low, precision.high) == (0, 0, 1)


def test_a_metric_that_is_not_defined_is_left_out_and_says_why() -> None:
    truth, answers = draw(100, 0.8, seed=1)
    one_class = np.zeros(100, dtype=np.int64)
    no_scores = Answers(answers.predictions, None)
    a_gap = Answers(answers.predictions, np.where(np.arange(100) == 3, np.nan, answers.scores))
    margins = Answers(answers.predictions, answers.scores * 10 - 5)

    by_scores = set(classification.BY_SCORES)
    assert measure(truth, no_scores).undefined == dict.fromkeys(by_scores, "not every answer has a score")
    assert set(measure(truth, a_gap).undefined) == by_scores
    assert measure(truth, margins).undefined == dict.fromkeys(
        ("log_loss", "brier", "calibration_error"), "the scores are no probabilities"
    )
    assert measure(one_class, answers).undefined == {
        "recall": "no row has the label of recall",
        "roc_auc": "all the rows have the same label",
        "average_precision": "all the rows have the same label",
    }
    assert measure(truth[:0], answers.where(truth > 9)).metrics == ()


def test_a_metric_that_some_draws_do_not_define_is_left_out() -> None:
    truth = np.array([1] + [0] * 99)
    answers = Answers(truth, np.linspace(1, 0, 100))

    assert "not every draw of the 100 rows" in measure(truth, answers).undefined["roc_auc"]


def test_a_regression_that_leaves_a_row_without_a_number_has_no_metric() -> None:
    truth, answers = draw(100, 0.8, 1, NUMBER)
    answers.predictions[7] = np.nan

    found = measure(truth, answers, NUMBER)

    assert found.metrics == ()
    assert found.undefined["rmse"] == "1 of 100 rows were not answered with a finite number"
    assert metrics.difference("rmse", NUMBER, truth, answers, answers) is None


def test_numbers_that_are_too_large_to_be_squared_have_no_metric() -> None:
    truth, answers = draw(100, 0.8, 1, NUMBER)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(truth, Answers(answers.predictions * 1e200), NUMBER)

    assert {"rmse", "r2"} <= set(found.undefined)


def test_labels_without_spread_have_no_r2_wherever_they_lie() -> None:
    truth = np.full(100, 0.1)
    _, answers = draw(100, 0.8, 1, NUMBER)

    assert measure(truth, answers, NUMBER).undefined == {"r2": "all the rows have the same label"}
    truth[0] = 7
    assert "not every draw" in measure(truth, answers, NUMBER).undefined["r2"]


def test_the_recall_of_each_class_is_told_with_how_little_few_rows_say() -> None:
    truth = np.array([0, 0, 0, 0, 3, 3])
    answers = Answers(np.array([0, 0, 0, 1, -1, 1]))
    names = [f"recall.{name}" for name in (*FOUR.classes, "moth")]

    found = measure(truth, answers, FOUR, *names)

    assert [(metric.name, metric.value) for metric in found.metrics] == [
        ("recall.bee", 0.75),
        ("recall.wasp", 0),
    ]
    assert all(metric.low <= metric.value < metric.high for metric in found.metrics)
    assert found.undefined == {name: f"no row has the label of {name}" for name in (names[1], *names[2::2])}


def judged(target: Target, predictions: list[Any], **answers: Any) -> Answers:
    nothing = (None,) * len(predictions)
    fields = {"scores": nothing, "probabilities": nothing, "refused": (), "latencies_seconds": ()} | answers
    return Judged.of(Scores(predictions=tuple(predictions), answers=(), **fields), target).answers


def test_answers_that_are_no_label_count_as_wrong() -> None:
    answers = judged(TWO, [None, "1", {"a": 1}, 0])

    [accuracy] = measure(TWO.encode([0, 1, 1, 0]), answers, TWO, "accuracy").metrics

    assert accuracy.value == 0.25


def test_of_numbers_only_finite_ones_are_answers() -> None:
    encoded = NUMBER.encode([1, 2.5, Decimal("0.5"), None, "3", True, float("inf"), float("nan"), [1]])
    assert encoded[:3].tolist() == [1, 2.5, 0.5]
    assert np.isnan(encoded[3:]).all()


def test_a_class_that_a_model_does_not_know_costs_it_but_leaves_it_comparable() -> None:
    """A champion that was trained before the class came up would else block every candidate."""
    knows_three = {"bee": 0.5, "fly": 0.25, "wasp": 0.25}
    answers = judged(FOUR, ["bee"] * 2, probabilities=(knows_three,) * 2)

    assert answers.scores is not None
    assert answers.scores.tolist() == [[0.5, 0.25, 0, 0.25]] * 2
    [loss] = measure(FOUR.encode(["bee", "hornet"]), answers, FOUR, "log_loss").metrics
    assert loss.value == pytest.approx((np.log(2) - np.log(np.finfo(float).eps)) / 2)


@pytest.mark.parametrize(
    "scores", [None, {}, {"bee": 0.5, "fly": 0.4}, {"bee": float("nan")}, {"bee": 1.5, "fly": -0.5}]
)
def test_what_are_no_probabilities_of_the_classes_has_no_log_loss(scores: dict[str, float] | None) -> None:
    answers = judged(FOUR, ["bee"] * 50, probabilities=({"bee": 1.0},) * 49 + (scores,))

    assert set(measure(FOUR.encode(["bee", "fly"] * 25), answers, FOUR).undefined) == {
        "log_loss",
        "calibration_error",
    }


def test_classes_that_are_no_texts_are_found_in_the_scores() -> None:
    """JSON has only texts as keys: 1 comes back as "1", and true as "true"."""
    answers = judged(Target("multiclass", (1, 2, 3)), [1], probabilities=({"1": 0.5, "2": 0.5},))
    assert answers.scores is not None
    assert answers.scores.tolist() == [[0.5, 0.5, 0]]


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
        found = metrics.difference("accuracy", TWO, truth, Answers(candidate), Answers(champion))
        assert found is not None
        missed += not found.low <= -0.03 <= found.high
    assert missed <= 27


@pytest.mark.parametrize("name", ["rmse", "median_absolute_error"])
def test_the_paired_interval_of_an_error_holds_its_confidence(name: str) -> None:
    """Of 100 pairs of equally good models the interval must miss 0 about 5 times."""
    missed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.gamma(2, 10, 400)
        pair = [Answers(truth + rng.normal(0, 5, 400)) for _ in range(2)]
        found = metrics.difference(name, NUMBER, truth, *pair)
        assert found is not None
        missed += not found.low <= 0 <= found.high
    assert missed <= 12


def test_equal_answers_on_few_rows_leave_room_for_a_difference() -> None:
    truth, answers = draw(200, 0.9, seed=1)

    found = metrics.difference("accuracy", TWO, truth, answers, answers)

    assert found is not None
    assert (found.difference, found.p_value) == (0, 1)
    assert found.low < -0.005 < 0.005 < found.high


@pytest.mark.parametrize(("target", "name"), COMPARED, ids=lambda value: getattr(value, "task", value))
def test_pairing_tells_apart_what_two_separate_intervals_do_not(target: Target, name: str) -> None:
    truth, champion = draw(2000, 0.80, 3, target)
    _, perfect = draw(2000, 1, 3, target)
    some = np.arange(2000) % 20 == 0
    candidate = Answers(
        np.where(some, perfect.predictions, champion.predictions),
        None
        if champion.scores is None or perfect.scores is None
        else np.where(some if target is TWO else some[:, None], perfect.scores, champion.scores),
    )

    [one], [other] = (measure(truth, answers, target, name).metrics for answers in (candidate, champion))
    paired = metrics.difference(name, target, truth, candidate, champion)

    assert paired is not None
    assert max(one.low, other.low) < min(one.high, other.high)
    assert paired.low > 0 or paired.high < 0


def test_mcnemars_exact_p_value() -> None:
    assert shares.mcnemar(0, 0) == (1, 1, 1)
    assert shares.mcnemar(1, 8) == pytest.approx((0.0390625, 511 / 512, 10 / 512))
    assert shares.mcnemar(8, 1) == pytest.approx((0.0390625, 10 / 512, 511 / 512))
    assert shares.mcnemar(5, 5) == pytest.approx((1, 638 / 1024, 638 / 1024))
    assert shares.mcnemar(0, 1) == pytest.approx((1, 1, 0.5))


def test_the_same_rows_give_the_same_interval() -> None:
    truth, answers = draw(300, 0.8, seed=5)
    assert measure(truth, answers) == measure(truth, answers)
    [alone] = measure(truth, answers, TWO, "brier").metrics
    assert alone in measure(truth, answers).metrics


@given(
    truth=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    predictions=st.lists(st.floats(), min_size=30, max_size=30),
)
def test_whatever_a_regression_answers_no_metric_is_anything_but_a_number(
    truth: list[float], predictions: list[float]
) -> None:
    found = measure(np.array(truth), Answers(NUMBER.encode(predictions[: len(truth)])), NUMBER)

    numbers = [value for metric in found.metrics for value in (metric.value, metric.low, metric.high)]
    assert np.isfinite(numbers).all()
    assert {metric.name for metric in found.metrics} ^ set(found.undefined) == set(metrics_of("regression"))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_full_evaluation_of_twenty_thousand_rows_takes_seconds_of_this_process(target: Target) -> None:
    truth, candidate = draw(20_000, 0.9, 1, target)
    _, champion = draw(20_000, 0.85, 1, target)
    slowest = {"binary": "roc_auc", "multiclass": "macro_f1", "regression": "median_absolute_error"}
    start = time.process_time()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for answers in (candidate, champion):
            measure(truth, answers, target)
        metrics.difference(slowest[target.task], target, truth, candidate, champion)

    assert time.process_time() - start < 10
