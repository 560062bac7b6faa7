"""What models answered to rows, as arrays that metrics are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]
Labels = NDArray[Any]
"""Of a classifier `Codes`, of a regression `Numbers`: what is true, or what was predicted."""


@dataclass(frozen=True)
class Answers:
    """What a model answered to each row.

    Attributes:
        predictions: Shape (rows,). Codes, -1 for what is no label (also a row that the handler failed on); or
            numbers, NaN for what is none.
        scores: The probability of the positive class (code 1 of two), shape (rows,); None where there is
            none.
        probabilities: Of each class, shape (rows, classes); None where there are none.
    """

    predictions: Labels
    scores: Numbers | None = None
    probabilities: Numbers | None = None

    def where(self, rows: NDArray[np.bool_]) -> "Answers":
        return Answers(
            self.predictions[rows],
            None if self.scores is None else self.scores[rows],
            None if self.probabilities is None else self.probabilities[rows],
        )


def classes_of(*labels: Sequence[Any]) -> tuple[Any, ...]:
    """The distinct labels in order.

    Of two, the second (1, true, the later in the alphabet) is the positive class.
    """
    distinct = set().union(*labels)
    try:
        return tuple(sorted(distinct))
    except TypeError:
        return tuple(sorted(distinct, key=lambda label: (type(label).__name__, str(label))))


def encode(values: Sequence[Any], classes: Sequence[Any]) -> Codes:
    """Each value's place in `classes`; -1 for a value that is none of them."""
    codes = {label: code for code, label in enumerate(classes)}
    return np.array([codes.get(value, -1) if _is_hashable(value) else -1 for value in values], dtype=np.int64)


def as_numbers(values: Sequence[Any]) -> Numbers:
    """Each value as a number; NaN for what is none."""
    return np.array([value if _is_number(value) else np.nan for value in values], dtype=np.float64)


def as_scores(values: Sequence[Any]) -> Numbers | None:
    """The scores; None where a row has none."""
    return np.array(values, dtype=np.float64) if all(map(_is_number, values)) else None


def as_probabilities(values: Sequence[Any], classes: Sequence[Any]) -> Numbers | None:
    """Each row's probability of each class, by the class as text; None where a row lacks one."""
    names = [str(label) for label in classes]
    if not all(
        isinstance(value, dict) and all(_is_number(value.get(name)) for name in names) for value in values
    ):
        return None
    return np.array([[value[name] for name in names] for value in values], dtype=np.float64).reshape(
        -1, len(names)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)
