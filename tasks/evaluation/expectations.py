"""Whether an answer is as a behavioural test expects it; nothing but data in, a sentence out."""

from dataclasses import dataclass, field
from typing import Any

from tasks.spec import BehaviourTest, Task


@dataclass(frozen=True)
class Answer:
    """One answer of a handler.

    Attributes:
        label: Its prediction, as the handler gave it.
        is_label: Whether that is one of the labels; for a regression a finite number.
        number: Its score; of a regression the prediction; None where there is none.
        by_class: The probability of each class.
        refused: Why the handler did not answer; None where it did.
    """

    label: Any
    is_label: bool = True
    number: float | None = None
    by_class: dict[str, float] = field(default_factory=dict)
    refused: str | None = None


def fault_of(test: BehaviourTest, task: Task, before: Answer, after: Answer | None) -> str | None:
    """Why a case fails, as a sentence; None where it passes."""
    for answer in filter(None, (before, after)):
        if answer.refused is not None:
            return f"The handler refused it: {answer.refused}"
        if not answer.is_label:
            return f"The answer {answer.label!r} is no label."
    if after is None:
        return _fault_of_answer(test, before)
    moved = _moved(test, before, after)
    if test.kind == "directional":
        return _fault_of_direction(test, moved)
    if task != "regression" and before.label != after.label:
        return f"The answer went from {before.label!r} to {after.label!r}."
    return _fault_of_size(test.tolerance, moved)


def _fault_of_answer(test: BehaviourTest, answer: Answer) -> str | None:
    if test.answer is not None:
        return None if answer.label == test.answer else f"It was answered with {answer.label!r}."
    low = test.at_least is not None and answer.label < test.at_least
    high = test.at_most is not None and answer.label > test.at_most
    return f"It was answered with {answer.label:g}." if low or high else None


def _fault_of_size(tolerance: float | None, moved: float | None) -> str | None:
    if tolerance is None:
        return None
    if moved is None:
        return "An answer has no number that could be compared."
    return f"It moved by {moved:+.4g}." if abs(moved) > tolerance else None


def _fault_of_direction(test: BehaviourTest, moved: float | None) -> str | None:
    if moved is None:
        return "An answer has no number that could be compared."
    gained = moved if test.direction == "up" else -moved
    return None if gained >= test.by else f"It moved by {moved:+.4g}."


def _moved(test: BehaviourTest, before: Answer, after: Answer) -> float | None:
    if test.of is None:
        pair = before.number, after.number
    else:
        pair = before.by_class.get(test.of), after.by_class.get(test.of)
    first, second = pair
    return None if first is None or second is None else second - first
