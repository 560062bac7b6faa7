"""Whether two trainings gave the same model: a comparison of plain data.

Two values are within the tolerance where they differ by no more than it, or than that share of the largest
magnitude that was recorded beside it: a weight of 3,000 may be off by more than one of 0.3.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import (
    AnswerDifferences,
    Condition,
    FileDifference,
    MetricDifference,
    Surroundings,
    TensorDifference,
)

Verdict = Literal["identical", "equivalent", "different"]
NAMED = 3
NOT_DETERMINISTIC = re.compile(r"(\S+) does not have a deterministic implementation")
"""What torch says of an operator, as an error or, where it was told to go on, as a warning.

Source: torch's Context::alertNotDeterministic.
"""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file.

    Attributes:
        kind: Its type as its file names it, for example `F32`.
        values: In a type of numpy's that holds every value of `kind`.
    """

    kind: str
    sha256: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Answered:
    """A model's answers to the frozen rows, in their order.

    Attributes:
        predictions: The labels as texts; None for a regression.
        numbers: Scores, probabilities of each class or a regression's predictions, shape (rows, n); NaN where
            there is none.
    """

    predictions: tuple[str, ...] | None
    numbers: NDArray[np.float64]


@dataclass(frozen=True)
class Findings:
    """Everything that was compared."""

    tensors: int
    differing: tuple[TensorDifference, ...]
    files: tuple[FileDifference, ...]
    metrics: tuple[MetricDifference, ...]
    answers: AnswerDifferences
    conditions: tuple[Condition, ...]
    operators: tuple[str, ...]


def compare_tensors(
    file: str, name: str, recorded: Tensor | None, here: Tensor | None, tolerance: float
) -> TensorDifference | None:
    """How a tensor differs; None where it is the same, bit for bit. None of the two is missing in both."""
    if recorded and here and _identity(recorded) == _identity(here):
        return None
    largest = _largest_difference(recorded, here)
    return TensorDifference(
        file=file,
        tensor=name,
        recorded_sha256=recorded.sha256 if recorded else None,
        here_sha256=here.sha256 if here else None,
        max_abs_difference=largest,
        within_tolerance=recorded is not None
        and largest is not None
        and largest <= tolerance * _scale(recorded.values),
    )


def compare_files(recorded: Mapping[str, str], here: Mapping[str, str]) -> tuple[FileDifference, ...]:
    """The files whose hashes, by name, differ or are only on one side."""
    return tuple(
        FileDifference(file=name, recorded_sha256=recorded.get(name), here_sha256=here.get(name))
        for name in sorted(recorded.keys() | here.keys())
        if recorded.get(name) != here.get(name)
    )


def compare_metrics(
    recorded: Mapping[str, float], here: Mapping[str, float], tolerance: float
) -> tuple[MetricDifference, ...]:
    """The metrics, by name, that are not the same number."""
    return tuple(
        MetricDifference(
            name=name,
            recorded=recorded.get(name),
            here=here.get(name),
            within_tolerance=name in recorded
            and name in here
            and abs(recorded[name] - here[name]) <= tolerance * max(1.0, abs(recorded[name])),
        )
        for name in sorted(recorded.keys() | here.keys())
        if recorded.get(name) != here.get(name)
    )


def compare_answers(recorded: Answered, here: Answered, tolerance: float) -> AnswerDifferences:
    """How the answers to the same rows differ; of those of other shapes every one does."""
    rows = len(recorded.numbers)
    if recorded.numbers.shape != here.numbers.shape:
        return AnswerDifferences(
            rows=rows, predictions=rows, max_abs_difference=None, same=False, within_tolerance=False
        )
    off = _off(recorded.numbers, here.numbers)
    allowed = tolerance * np.maximum(1.0, np.nan_to_num(np.abs(recorded.numbers)))
    beyond = ~(off <= allowed)
    other = _other_predictions(recorded, here, beyond)
    return AnswerDifferences(
        rows=rows,
        predictions=other,
        max_abs_difference=float(off.max()) if off.size else None,
        same=not other and not off.any(),
        within_tolerance=not other and not beyond.any(),
    )


def compare_surroundings(recorded: Surroundings | None, here: Surroundings) -> list[Condition]:
    """What is not as it was: the interpreter, the processor, the GPU, and each library that was there.

    One that came since is not named: what was trained without it does not need it.
    """
    if recorded is None:
        return [Condition(name="libraries and hardware", recorded=None, here=here.processor)]
    plain = ("python", "processor", "gpu")
    then, now = ({name: getattr(each, name) for name in plain} for each in (recorded, here))
    kept = {name: version for name, version in here.libraries.items() if name in recorded.libraries}
    return [*conditions(then, now), *conditions(recorded.libraries, kept)]


def conditions(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> list[Condition]:
    """What differs of some facts, by their names."""
    return [
        Condition(name=name, recorded=_text(recorded.get(name)), here=_text(here.get(name)))
        for name in sorted(recorded.keys() | here.keys())
        if recorded.get(name) != here.get(name)
    ]


def nondeterministic_operators(logs: Iterable[str]) -> tuple[str, ...]:
    """The operators that torch named in the logs of trainings as having no deterministic form."""
    return tuple(dict.fromkeys(name for log in logs for name in NOT_DETERMINISTIC.findall(log)))


def verdict(found: Findings) -> Verdict:
    """What the differences of weights, metrics and answers come to; conditions only explain them."""
    if not (found.differing or found.files or found.metrics) and found.answers.same:
        return "identical"
    measured: tuple[TensorDifference | MetricDifference | AnswerDifferences, ...] = (
        *found.differing,
        *found.metrics,
        found.answers,
    )
    within = not found.files and all(difference.within_tolerance for difference in measured)
    return "equivalent" if within else "different"


def sentence(found: Findings, tolerance: float) -> str:
    """The verdict in words: what differs most first, and then what may be the reason."""
    decided = verdict(found)
    compared = f"{found.tensors} tensors, every metric and the answers to {found.answers.rows} frozen rows"
    if decided == "identical":
        told = [f"identical: {compared} are the same, bit for bit."]
    else:
        limit = f" within {tolerance:g}" if decided == "equivalent" else ""
        told = [f"{decided}{limit}: {'; '.join(_differences(found))}."]
    if found.operators:
        told.append(f"torch names operators without a deterministic form: {_some(found.operators)}.")
    if found.conditions:
        told.append(f"Not as it was: {_some([_change(each) for each in found.conditions])}.")
    elif decided != "identical" and not found.operators:
        told.append(
            "Libraries, hardware and code are as they were: the training is not deterministic, or its record "
            "was changed."
        )
    return " ".join(told)


def by_size(differences: Sequence[TensorDifference]) -> list[TensorDifference]:
    """Those first that cannot be measured, then the largest."""
    return sorted(
        differences,
        key=lambda each: math.inf if each.max_abs_difference is None else each.max_abs_difference,
        reverse=True,
    )


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _differences(found: Findings) -> list[str]:
    told = []
    if found.differing:
        first = by_size(found.differing)[0]
        by = "" if first.max_abs_difference is None else f" by up to {first.max_abs_difference:.3g}"
        told.append(
            f"{len(found.differing)} of {found.tensors} tensors differ, most of all {first.tensor} of "
            f"{first.file}{by}"
        )
    if found.files:
        told.append(f"other bytes in {_some([each.file for each in found.files])}")
    told += [
        f"{each.name} was {_number(each.recorded)} and is {_number(each.here)}"
        for each in found.metrics[:NAMED]
    ]
    if not found.answers.same:
        told.append(f"{found.answers.predictions} of {found.answers.rows} predictions differ")
    return told


def _identity(tensor: Tensor) -> tuple[str, str, tuple[int, ...]]:
    return tensor.kind, tensor.sha256, tensor.values.shape


def _largest_difference(recorded: Tensor | None, here: Tensor | None) -> float | None:
    if recorded is None or here is None or recorded.kind != here.kind:
        return None
    if recorded.values.shape != here.values.shape:
        return None
    off = _off(recorded.values, here.values)
    return float(off.max()) if off.size else 0.0


def _off(recorded: NDArray[Any], here: NDArray[Any]) -> NDArray[np.float64]:
    """By how much each number is off: 0 for the same, infinite where one of the two is NaN or infinite."""
    wide = np.complex128 if np.iscomplexobj(recorded) else np.float64
    one, other = recorded.astype(wide), here.astype(wide)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        off = np.abs(one - other)
    found: NDArray[np.float64] = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))
    return found


def _other_predictions(recorded: Answered, here: Answered, beyond: NDArray[np.bool_]) -> int:
    if recorded.predictions is None or here.predictions is None:
        return int(beyond.any(axis=1).sum())
    pairs = zip(recorded.predictions, here.predictions, strict=True)
    return sum(one != other for one, other in pairs)


def _scale(values: NDArray[Any]) -> float:
    finite = np.abs(values)[np.isfinite(values)]
    return max(1.0, float(finite.max())) if finite.size else 1.0


def _change(condition: Condition) -> str:
    return f"{condition.name} was {condition.recorded or 'not there'} and is {condition.here or 'not there'}"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.6g}"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
