"""What is shown of a training is what its record says, and stays within its drawing."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import Curve, TrainingCurves
from tasks.overview.curves import BOTTOM, HEIGHT, LEFT, RIGHT, ROWS, TOP, WIDTH, drawn_of

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
numbers = st.floats(-1e300, 1e300)


def record(*points: tuple[float, float], **said: object) -> TrainingCurves:
    curves = (Curve(name="loss", points=points),)
    return TrainingCurves.model_validate({"run_id": "r", "begun_at": AT, "at": AT, "curves": curves} | said)


def test_it_says_how_far_the_training_is_and_how_long_it_still_takes_by_now() -> None:
    counted = {"unit": "epoch", "done": 3, "total": 10, "seconds_left": 40.0}
    drawn = drawn_of(record((1, 0.5), (2, 0.25), (3, 0.4), **counted), AT + timedelta(seconds=10))
    assert drawn.says == "Epoch 3 of 10, at most about 30 s left."
    assert (drawn.ended, drawn.silent) == (False, False)
    [curve] = drawn.curves
    assert curve.told == "0.4 at epoch 3; from 0.25 to 0.5"
    assert curve.rows == (("3", "0.4"), ("2", "0.25"), ("1", "0.5"))

    ended = drawn_of(record((1, 0.5), **counted, ended_at=AT), AT + timedelta(days=30))
    assert (ended.says, ended.ended, ended.silent) == ("Epoch 3 of 10.", True, False)


def test_one_of_which_nothing_is_heard_any_more_is_told_to_be_silent() -> None:
    assert drawn_of(record((1, 0.5)), AT + timedelta(minutes=3)).silent


def test_a_loss_that_is_no_number_any_more_is_said_with_its_step() -> None:
    broken = Curve(name="loss", points=(), not_a_number_at=7)
    [curve] = drawn_of(record(curves=(broken,), unit="epoch"), AT).curves
    assert (curve.warning, curve.rows) == ("Not a number at epoch 7.", ())


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=200))
def test_everything_is_drawn_within_the_axes_in_few_letters(points: list[tuple[float, float]]) -> None:
    [curve] = drawn_of(record(*sorted(points)), AT).curves
    for x in (curve.x, *(x for x, _, _ in curve.x_ticks)):
        assert LEFT <= x <= WIDTH - RIGHT
    for y in (curve.y, *(y for y, _ in curve.y_ticks)):
        assert TOP <= y <= HEIGHT - BOTTOM
    assert len(curve.rows) <= ROWS
    assert max(len(text) for pair in curve.rows for text in pair) < 16
