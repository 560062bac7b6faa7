"""Answers that are no numbers, no probabilities, or the same for every row are counted."""

import math
from typing import Any

from tasks.contracts import Health
from tasks.evaluation.health import NOT_FINITE, health_of
from tasks.evaluation.scoring import Refused, Scores
from tasks.spec import Task

NAN, INFINITE = math.nan, math.inf


def health(task: Task, predictions: list[Any], scores: Any = None, by_class: Any = None) -> Health:
    nothing = [None] * len(predictions)
    parts = (predictions, scores or nothing, by_class or nothing)
    return health_of(Scores(*map(tuple, parts), (), (), ()), task)


def test_sound_answers_are_called_sound() -> None:
    sound = [
        health("binary", [0, 1], [0.2, 0.9]),
        health("binary", [1, 1], [0.8, 0.9]),
        health("binary", [0, 1]),
        health("multiclass", ["a", "b"], [0.6, 0.7], [{"a": 0.6, "b": 0.4}, {"a": 0.3, "b": 0.7001}]),
        health("regression", [1.0, 2]),
    ]
    assert sound == [Health(rows=2, not_finite=0, not_probabilities=0, constant=None)] * 5


def test_numbers_that_are_not_finite_are_counted_wherever_they_stand() -> None:
    assert health("regression", [1.0, NAN, INFINITE]).not_finite == 2
    assert health("binary", [0, 1], [NAN, 0.5]).not_finite == 1
    assert health("multiclass", ["a", "b"], None, [{"a": NAN}, {"a": 1.0}]).not_finite == 1


def test_an_instance_that_was_refused_for_such_a_number_is_counted() -> None:
    refused = (Refused(0, 500, NOT_FINITE), Refused(1, 400, "no"))
    raw = Scores((None, None, 1, 0), (None, None, 0.9, 0.1), (None,) * 4, refused, (), ())
    assert health_of(raw, "binary") == Health(rows=4, not_finite=1, not_probabilities=0, constant=None)


def test_scores_that_do_not_add_up_or_are_outside_of_0_and_1_are_counted() -> None:
    by_class = [{"a": 0.7, "b": 0.7}, {"a": 1.5, "b": -0.5}, {"a": 0.5, "b": 0.5}, {"a": "1"}]
    assert health("multiclass", ["a", "a", "b", "a"], None, by_class).not_probabilities == 3


def test_one_score_for_every_row_is_told_although_the_predictions_differ() -> None:
    assert health("binary", [0, 1], [0.5, 0.5]).constant == "score 0.5"
    assert health("binary", [1, 1]).constant == "prediction 1"
    assert health("regression", [3.5, 3.5]).constant == "prediction 3.5"
    assert health("multiclass", ["a", "b"], None, [{"a": 1.0}] * 2).constant == "scores {'a': 1.0}"
