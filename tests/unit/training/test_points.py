"""The few points of a curve that people see: what was logged, in its order, never more than so many."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from tasks.training.points import MOST_CURVES, MOST_POINTS, chosen, continued, curve_of
from tasks.training.progress import Logged


def epochs(*values: float, name: str = "loss") -> list[Logged]:
    return [Logged(name, value, number, 100.0 + number) for number, value in enumerate(values, start=1)]


def test_the_losses_are_chosen_first_tensorboards_last_and_no_counter_and_nothing_of_the_machine() -> None:
    names = [
        "system/cpu",
        "epoch",
        "accuracy",
        "tensorboard/loss",
        "validation_loss",
        "tensorboard/global_step",
    ]
    assert chosen([Logged(name, 0.1, 1, 1.0) for name in names]) == [
        "validation_loss",
        "accuracy",
        "tensorboard/loss",
    ]
    assert len(chosen([Logged(f"metric {number}", 0.1, 1, 1.0) for number in range(50)])) == MOST_CURVES


def test_a_curve_is_what_was_logged_without_the_best_that_is_logged_again_at_its_end() -> None:
    best = Logged("loss", 0.3, 0, 200.0)
    assert curve_of("loss", [*epochs(0.5, 0.3, 0.4), best]).points == ((1, 0.5), (2, 0.3), (3, 0.4))


def test_values_without_a_step_are_numbered_and_one_that_is_logged_twice_counts_once() -> None:
    without = [Logged("loss", value, 0, at) for at, value in ((2.0, 0.2), (1.0, 0.5))]
    assert curve_of("loss", without).points == ((1, 0.5), (2, 0.2))
    twice = [*epochs(0.5, 0.4), Logged("loss", 0.35, 2, 110.0)]
    assert curve_of("loss", twice).points == ((1, 0.5), (2, 0.35))


def test_what_is_no_number_is_left_out_and_said() -> None:
    broken = curve_of("loss", epochs(0.5, nan, inf, 1.7976931348623157e308))
    assert (broken.points, broken.not_a_number_at) == (((1, 0.5),), 2)
    assert continued(broken, Logged("loss", 0.4, 5, 105.0)).not_a_number_at == 2
    assert continued(curve_of("loss", epochs(0.5)), Logged("loss", nan, 2, 102.0)).not_a_number_at == 2


@given(st.integers(1, 3000), st.integers(0, 500))
def test_a_long_curve_has_few_points_and_always_its_newest(known: int, more: int) -> None:
    curve = curve_of("loss", epochs(*map(float, range(known))))
    for step in range(known + 1, known + more + 1):
        curve = continued(curve, Logged("loss", float(step - 1), step, 100.0 + step))
    steps = [step for step, _ in curve.points]
    assert len(steps) <= MOST_POINTS
    assert (steps[0], steps[-1]) == (1, known + more)
    assert steps == sorted(set(steps))
    assert len(steps) >= min(known + more, MOST_POINTS // 2)
