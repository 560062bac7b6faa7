"""How far a training is: from what programs log, and nothing where they do not say it."""

import pytest

from tasks.training.follow import REMIND_SECONDS, Progress
from tasks.training.progress import Goal, Logged, Reached, duration, goal_of, reached, seconds_left, sentence

TEN = Goal("epoch", 10)


@pytest.mark.parametrize(
    ("parameters", "goal"),
    [
        ({"epochs": 6, "seed": 7}, Goal("epoch", 6)),
        ({"max_steps": 500, "learning_rate": 0.1}, Goal("step", 500)),
        ({"max_steps": 500, "num_train_epochs": 3}, Goal("epoch", 3)),
        ({"max_steps": -1, "num_train_epochs": 2.5}, Goal("epoch", 2.5)),
        ({"epochs": "auto", "rate": 0.5}, None),
        ({"epochs": float("inf"), "steps": 10**400}, None),
        ({}, None),
    ],
)
def test_a_parameter_says_up_to_where(parameters: dict[str, object], goal: Goal | None) -> None:
    assert goal_of(parameters) == goal


@pytest.mark.parametrize(
    ("metrics", "done"),
    [
        ([Logged("loss", 0.5, 3, 100.0)], 3.0),
        ([Logged("loss", 0.5, 3, 100.0), Logged("system/cpu", 1.0, 900, 100.0)], 3.0),
        ([Logged("loss", 0.5, 3, 100.0), Logged("tensorboard/loss", 1.0, 900, 100.0)], 3.0),
        ([Logged("loss", 0.5, 800, 100.0), Logged("epoch", 4.5, 800, 100.0)], 4.5),
        ([Logged("tensorboard/epoch", 2.0, 800, 100.0)], 2.0),
        ([Logged("loss", 0.5, 800, 100.0)], None),
        ([Logged("epoch", 11.0, 800, 100.0)], None),
        ([Logged("loss", 0.5, 0, 100.0)], None),
        ([], None),
    ],
)
def test_a_metric_called_epoch_or_the_steps_say_what_is_done(
    metrics: list[Logged], done: float | None
) -> None:
    assert reached(TEN, metrics) == (None if done is None else Reached(done, 100.0))


def test_the_time_that_is_left_follows_the_pace_and_shrinks_while_nothing_is_logged() -> None:
    first, newest = Reached(1, 100.0), Reached(4, 130.0)

    assert seconds_left(TEN, first, newest, now=130.0) == 60.0
    assert seconds_left(TEN, first, newest, now=135.0) == 55.0
    assert seconds_left(TEN, first, newest, now=500.0) == 0.0
    assert seconds_left(TEN, first, first, now=130.0) is None
    assert seconds_left(TEN, newest, first, now=130.0) is None


@pytest.mark.parametrize(
    ("newest", "left", "said"),
    [
        (Reached(4, 0), 40.4, "Progress: epoch 4 of 10, at most about 40 s left."),
        (Reached(4.25, 0), None, "Progress: epoch 4.25 of 10."),
        (Reached(10, 0), 0.0, "Progress: epoch 10 of 10, the last."),
    ],
)
def test_a_line_says_what_is_done_and_what_is_left(newest: Reached, left: float | None, said: str) -> None:
    assert sentence(TEN, newest, left) == said
    assert sentence(Goal("step", 20_000), Reached(1500, 0), None) == "Progress: step 1,500 of 20,000."


def test_a_time_is_said_in_a_persons_units() -> None:
    assert [duration(each) for each in (0.2, 99, 150, 5_000, 12_000)] == [
        "0 s",
        "99 s",
        "2 min",
        "83 min",
        "3 h 20 min",
    ]


def test_a_line_comes_when_something_is_new_or_a_long_epoch_goes_on() -> None:
    progress = Progress(TEN, Reached(0, 1000.0))

    assert progress.line(None, 1005) is None
    assert progress.line(Reached(1, 1020.0), 1020) == (
        "Progress: epoch 1 of 10, at most about 3 min left."
    ), "the first epoch is told by the time since the start"
    assert progress.line(Reached(1, 1020.0), 1025) is None
    assert progress.line(Reached(2, 1030.0), 1030) == "Progress: epoch 2 of 10, at most about 80 s left."
    assert progress.line(Reached(2, 1030.0), 1030 + REMIND_SECONDS) == (
        "Progress: epoch 2 of 10, at most about 20 s left."
    )
    assert progress.line(Reached(10, 1110.0), 1110) == "Progress: epoch 10 of 10, the last."
    assert progress.line(Reached(10, 1110.0), 5000) is None
