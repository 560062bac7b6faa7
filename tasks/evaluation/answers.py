"""What is predicted, and what a model answered to each row, as arrays that metrics are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.scoring import Scores
from tasks.spec import Task, label_text

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]
Truth = NDArray[Any]
"""The labels as `Target.encode` gives them, shape (rows,)."""
SUM_TOLERANCE = 1e-3
"""How far the probabilities of one answer may be from adding up to 1."""


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes:
        task: What kind of answer is given.
        classes: The labels in order, none for a regression. Of two, the second (1, true, the later in the
            alphabet) is the positive class.
    """

    task: Task
    classes: tuple[Any, ...] = ()

    def encode(self, values: Sequence[Any]) -> NDArray[Any]:
        """The values as metrics take them, shape (rows,).

        Of classes the codes, -1 for what is no label; for a regression the numbers, NaN for what is none.
        """
        if self.task == "regression":
            return np.array([_number(value) for value in values], dtype=np.float64)
        codes = {label: code for code, label in enumerate(self.classes)}
        found = (codes.get(value, -1) if _is_hashable(value) else -1 for value in values)
        return np.fromiter(found, dtype=np.int64, count=len(values))


@dataclass(frozen=True)
class Answers:
    """What a model answered to each row.

    Attributes:
        predictions: Class codes, shape (rows,); -1 for what is no label (also a row that the handler failed
            on). For a regression numbers, NaN for what is none.
        scores: Of two classes the probability of the positive one, shape (rows,); of several the probability
            of each, shape (rows, classes); None where there is none.
    """

    predictions: NDArray[Any]
    scores: Numbers | None = None

    def where(self, rows: NDArray[np.bool_]) -> "Answers":
        return Answers(self.predictions[rows], None if self.scores is None else self.scores[rows])


@dataclass(frozen=True)
class Judged:
    """A model's answers as arrays, and what the handler said and took."""

    answers: Answers
    raw: Scores

    def where(self, rows: NDArray[np.bool_]) -> "Judged":
        """The answers to some of the rows; latencies, refusals and whole answers stay those of all."""
        kept = np.flatnonzero(rows)
        raw = replace(
            self.raw,
            predictions=tuple(self.raw.predictions[row] for row in kept),
            scores=tuple(self.raw.scores[row] for row in kept),
            probabilities=tuple(self.raw.probabilities[row] for row in kept),
        )
        return Judged(self.answers.where(rows), raw)

    @classmethod
    def of(cls, raw: Scores, target: Target) -> "Judged":
        return cls(Answers(target.encode(raw.predictions), _scores(raw, target)), raw)


def _scores(raw: Scores, target: Target) -> Numbers | None:
    if target.task == "multiclass":
        return _by_class(raw.probabilities, target.classes)
    if target.task == "binary" and all(isinstance(value, int | float) for value in raw.scores):
        return np.array(raw.scores, dtype=np.float64)
    return None


def _by_class(probabilities: Sequence[dict[str, float] | None], classes: tuple[Any, ...]) -> Numbers | None:
    """The probability of each class, shape (rows, classes).

    A class that an answer does not name has the probability 0: a model that was trained before the class came
    up is measured, and pays for it. None where an answer has no probabilities, NaN where they are none.
    """
    columns = {label_text(label): code for code, label in enumerate(classes)}
    found = np.zeros((len(probabilities), len(classes)))
    for row, scores in enumerate(probabilities):
        if scores is None:
            return None
        numbers = {name: _number(value) for name, value in scores.items()}
        if not abs(sum(numbers.values()) - 1) <= SUM_TOLERANCE:
            found[row] = nan
        for name in columns.keys() & numbers.keys():
            found[row, columns[name]] = numbers[name]
    return found


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool) and isfinite(value)
    return float(value) if is_number else nan


def _is_hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)
