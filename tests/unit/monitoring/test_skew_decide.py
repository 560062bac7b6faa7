"""What follows from answers that were replayed."""

from typing import Any

from tasks.contracts import Preparation, ReplayedAnswer
from tasks.monitoring.skew.decide import of_fault, signals_of

SAME = Preparation(rows=200, differing=0, first=None, unknown=None)


def answer(number: int = 0, **changes: Any) -> ReplayedAnswer:
    fields = {"prediction": 1, "score": 0.8, "prediction_now": 1, "score_now": 0.8}
    return ReplayedAnswer(prediction_id=f"q{number}", **(fields | changes))


def test_the_rounding_of_other_hardware_is_no_difference() -> None:
    turned = answer(score=0.50001, score_now=0.49999, prediction_now=0)
    number = answer(prediction=31.0, prediction_now=31.00002, score=None, score_now=None)

    assert signals_of(SAME, [answer(score_now=0.80005), turned, turned, number]) == ()


def test_an_answer_that_is_no_number_as_before_is_no_difference() -> None:
    nan = float("nan")
    same = answer(prediction=nan, prediction_now=nan, score=nan, score_now=nan)

    assert signals_of(SAME, [same]) == ()
    assert [one.level for one in signals_of(SAME, [answer(score=nan)])] == ["incident"]
    assert [one.level for one in signals_of(SAME, [answer(score_now=nan)])] == ["incident"]


def test_more_turned_labels_than_rounding_turns_are_an_incident() -> None:
    turned = [answer(number, prediction_now=0) for number in range(3)]

    [signal] = signals_of(SAME, [*turned, *[answer(9)] * 5])

    assert (signal.level, signal.reason, signal.value, signal.threshold) == (
        "incident",
        "answer_differs",
        3,
        2,
    )
    assert "answers 3 of 8 logged requests otherwise" in signal.why


def test_a_number_that_moved_a_score_that_is_gone_and_a_refusal_are_incidents() -> None:
    moved = answer(prediction=31.0, prediction_now=31.1, score=None, score_now=None)
    for one in (moved, answer(score_now=None), answer(score_now=0.79), answer(refused="no text")):
        [signal] = signals_of(SAME, [one])
        assert (signal.level, signal.subject) == ("incident", "q0")


def test_an_unknown_preparation_is_a_note_and_the_answers_are_judged_all_the_same() -> None:
    unknown = Preparation(rows=0, differing=0, first=None, unknown="the handler imports no PyTorch.")

    assert [one.level for one in signals_of(unknown, [answer(score_now=0.1)])] == ["note", "incident"]
    assert [one.reason for one in signals_of(None, [])] == ["preparation_not_declared"]


def test_a_replay_that_fails_is_a_note_unless_the_archive_was_changed() -> None:
    assert of_fault(OSError("no room"), archive_changed=False).level == "note"
    assert of_fault(OSError("other bytes"), archive_changed=True).level == "incident"
