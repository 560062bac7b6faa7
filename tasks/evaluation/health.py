"""Whether a model's answers are numbers that mean something."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from tasks.contracts import Health
from tasks.evaluation.answers import SUM_TOLERANCE
from tasks.evaluation.scoring import Scores
from tasks.spec import Task

NOT_FINITE = "The model answered a number that is not finite."
"""How perennial_handler.py refuses an instance on which the model answered such a number."""


def health_of(raw: Scores, task: Task) -> Health:
    """What is unsound in the answers to the frozen rows."""
    refused = {each.row for each in raw.refused}
    answered = [row for row in range(len(raw.predictions)) if row not in refused]
    said_so = sum(each.message == NOT_FINITE for each in raw.refused)
    given = [found for row in answered if (found := raw.probabilities[row]) is not None]
    return Health(
        rows=len(raw.predictions),
        not_finite=said_so + sum(not all(map(_is_sound, _numbers(raw, row))) for row in answered),
        not_probabilities=sum(not _are_probabilities(list(each.values())) for each in given),
        constant=_constant(raw, answered, task),
    )


def _numbers(raw: Scores, row: int) -> Iterator[Any]:
    yield raw.predictions[row]
    yield raw.scores[row]
    yield from (raw.probabilities[row] or {}).values()


def _is_sound(value: Any) -> bool:
    return not isinstance(value, float) or isfinite(value)


def _are_probabilities(values: list[Any]) -> bool:
    numbers = all(isinstance(each, int | float) and 0 <= each <= 1 for each in values)
    return numbers and abs(sum(values) - 1) <= SUM_TOLERANCE


def _constant(raw: Scores, rows: list[int], task: Task) -> str | None:
    """What all answers have in common although it should tell the rows apart; None where something differs.

    It is the scores where there are some, because a model may well predict one label.
    """
    if len(rows) < 2:
        return None
    kinds = {"score": raw.scores, "scores": raw.probabilities, "prediction": raw.predictions}
    kind = "prediction"
    if task != "regression":
        wanted = "score" if task == "binary" else "scores"
        kind = wanted if all(kinds[wanted][row] is not None for row in rows) else "prediction"
    first = kinds[kind][rows[0]]
    return f"{kind} {first!r}" if all(kinds[kind][row] == first for row in rows) else None
