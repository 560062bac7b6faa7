"""Has what is predicted changed, and are the answers worse than they were?

The answers are a column of the files or, where there is none, those of a simple model of the reference, which
is judged on pieces of it that it was not fitted to. Accuracy hides a model that knows nothing of rare
positives, so of two classes the ROC AUC counts, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tasks.contracts import Metric, Performance, Signal
from tasks.evaluation.answers import Answers, Target
from tasks.evaluation.linear_model import fit
from tasks.evaluation.metrics import measure
from tasks.monitoring.plain.columns import CLASSES, Sides, as_categories, change_of_label, p_value
from tasks.monitoring.plain.roles import Role
from tasks.spec import ColumnType

LEVEL = 0.01
ACCURACY_FLOOR = 0.05
AUC_FLOOR = 0.07
ERROR_FLOOR = 0.2
"""By this share of itself the mean error of a number has to grow."""
HELD_OUT = 3
"""Each third block of the reference is not fitted to."""
MOST_ROWS = 10_000
FEWEST_ROWS = 30
METRICS = {"binary": ("accuracy", "roc_auc"), "multiclass": ("accuracy",), "regression": ("mae",)}

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """The labels of both sides, as codes of classes or as numbers, and whose they are.

    Attributes:
        reference_rows, current_rows: The rows with a label.
    """

    column: str
    target: Target
    reference: NDArray[np.float64] | NDArray[np.int64]
    current: NDArray[np.float64] | NDArray[np.int64]
    reference_rows: NDArray[np.bool_]
    current_rows: NDArray[np.bool_]
    blocks: NDArray[np.int64]


@dataclass(frozen=True)
class Answered:
    """Answers to rows with their labels; `blocks` is empty for the file's rows."""

    truth: NDArray[np.float64] | NDArray[np.int64]
    answers: Answers
    blocks: NDArray[np.int64]

    def losses(self, target: Target) -> Numbers:
        if target.task == "regression":
            return np.asarray(np.abs(self.truth - self.answers.predictions), dtype=np.float64)
        return np.asarray(self.truth != self.answers.predictions, dtype=np.float64)


def labels_of(column: str, sides: Sides) -> Labels:
    """The labels of both sides."""
    rows = [side.notna().to_numpy() for side in (sides.reference, sides.current)]
    given = [side[held] for side, held in zip((sides.reference, sides.current), rows, strict=True)]
    numeric = all(
        pd.api.types.is_numeric_dtype(side) and not pd.api.types.is_bool_dtype(side) for side in given
    )
    together = pd.concat(given)
    if numeric and (together.nunique() > CLASSES or bool((together % 1 != 0).any())):
        target, values = Target("regression"), [side.to_numpy(dtype=np.float64) for side in given]
    else:
        texts = [as_categories(side) for side in given]
        classes = tuple(sorted(set(texts[0]) | set(texts[1]), key=_in_order))
        target = Target("binary" if len(classes) == 2 else "multiclass", classes)
        values = [target.encode(side.tolist()) for side in texts]
    return Labels(column, target, values[0], values[1], rows[0], rows[1], sides.blocks[rows[0]])


def _in_order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def label_signal(labels: Labels, sides: Sides) -> Signal:
    """Whether the labels' own distribution has changed."""
    role: Role = "number" if labels.target.task == "regression" else "category"
    change = change_of_label(labels.column, role, sides)
    surely = change.p_value is not None and change.p_value < LEVEL and change.effect > change.floor
    said = "has changed" if surely else "has not changed enough to matter"
    if change.p_value is None:
        said = "has too few values in the reference to tell whether it has changed"
    return Signal(
        question="target",
        reason="label_prior",
        subject=labels.column,
        level="alarm" if surely else "note",
        value=change.effect,
        threshold=change.floor,
        unit="standard deviations" if role == "number" else "share of the rows",
        why=f"The label {labels.column} {said}: {change.told}.",
    )


def by_predictions(labels: Labels, sides: Sides) -> tuple[Answered, Answered]:
    """The column of predictions of both sides, beside the labels.

    Args:
        sides: The predictions.
    """
    own = _answers(sides.reference[labels.reference_rows], labels.target)
    now = _answers(sides.current[labels.current_rows], labels.target)
    nothing = np.empty(0, np.int64)
    return Answered(labels.reference, own, labels.blocks), Answered(labels.current, now, nothing)


def _answers(values: pd.Series, target: Target) -> Answers:
    if target.task == "regression":
        return Answers(values.to_numpy(dtype=np.float64))
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if target.task == "binary" and numeric and values.between(0, 1).all() and bool((values % 1 != 0).any()):
        scores = values.to_numpy(dtype=np.float64)
        return Answers((scores >= 0.5).astype(np.int64), scores)
    held = values.notna().to_numpy()
    found = np.full(len(values), -1, dtype=np.int64)
    found[held] = target.encode(as_categories(values[held]).tolist())
    return Answers(found)


def by_simple_model(
    labels: Labels, reference: pd.DataFrame, current: pd.DataFrame, kinds: Mapping[str, ColumnType]
) -> tuple[Answered, Answered] | None:
    """The answers of a simple model that is fitted to the reference; None where there is nothing to fit."""
    own, now = reference[labels.reference_rows], current[labels.current_rows]
    held = labels.blocks % HELD_OUT == 0
    if not kinds or min(int(held.sum()), int((~held).sum()), len(now)) < FEWEST_ROWS:
        return None
    learn, judge = (_spread(np.flatnonzero(mask)) for mask in (~held, held))
    train = _table(own.iloc[learn], kinds)
    classes = labels.target.classes
    truth = labels.reference[learn]
    shown = truth.tolist() if not classes else [classes[code] for code in truth]
    model = fit(
        train.append_column("label of the file", pa.array(shown)), "label of the file", kinds, labels.target
    )
    if model is None:
        return None
    newest = _spread(np.arange(len(now)))
    nothing = np.empty(0, np.int64)
    found = []
    for rows, places, known, blocks in (
        (own, judge, labels.reference, labels.blocks[judge]),
        (now, newest, labels.current, nothing),
    ):
        said = list(model.answers(_table(rows.iloc[places], kinds)))
        predictions = labels.target.encode([answer[0] for answer in said])
        scores = (
            np.array([answer[1] for answer in said], dtype=float) if labels.target.task == "binary" else None
        )
        found.append(Answered(known[places], Answers(predictions, scores), blocks))
    return found[0], found[1]


def _spread(places: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(places) <= MOST_ROWS:
        return places
    return places[np.linspace(0, len(places) - 1, MOST_ROWS).astype(np.int64)]


def _table(rows: pd.DataFrame, kinds: Mapping[str, ColumnType]) -> pa.Table:
    return pa.table({name: pa.array(rows[name], from_pandas=True) for name in kinds})


def judge_answers(
    source: str, before: Answered, now: Answered, target: Target
) -> tuple[list[Signal], tuple[Performance, ...]]:
    """Are the answers surely worse than they were, by more than what matters?"""
    found = [
        measure(METRICS[target.task], target, side.truth, side.answers).metrics for side in (before, now)
    ]
    pairs = [(own, other) for own in found[0] for other in found[1] if own.name == other.name]
    performance = tuple(Performance(source=source, before=own, now=other) for own, other in pairs)
    signals = [_of_losses(source, before, now, target)]
    signals += [_of_ranking(source, own, other) for own, other in pairs if own.name == "roc_auc"]
    return signals, performance


def _of_losses(source: str, before: Answered, now: Answered, target: Target) -> Signal:
    losses = [side.losses(target) for side in (before, now)]
    known = [np.isfinite(each) for each in losses]
    own, other = (each[held] for each, held in zip(losses, known, strict=True))
    if not len(own) or not len(other):
        return _signal(
            source, "performance", None, None, "", "no row has both a label and a prediction", is_worse=None
        )
    usual, worse = float(own.mean()), float(other.mean())
    floor = ERROR_FLOOR * usual if target.task == "regression" else ACCURACY_FLOOR
    chance = p_value(own[:, None], other[:, None], before.blocks[known[0]])
    what = "mean absolute error" if target.task == "regression" else "share of wrong answers"
    told = f"the {what} is {worse:.4g}, {usual:.4g} in the reference"
    if chance is None:
        told += f", whose {len(own)} answers are too few to tell"
    is_worse = None if chance is None else chance < LEVEL and worse - usual > floor
    return _signal(source, "performance", worse - usual, floor, what, told, is_worse=is_worse)


def _of_ranking(source: str, before: Metric, now: Metric) -> Signal:
    lost = before.value - now.value
    told = (
        f"the ROC AUC is {now.value:.3f} [{now.low:.3f}, {now.high:.3f}], "
        f"{before.value:.3f} [{before.low:.3f}, {before.high:.3f}] in the reference"
    )
    is_worse = lost > AUC_FLOOR and now.high < before.low
    return _signal(source, "ranking", lost, AUC_FLOOR, "ROC AUC", told, is_worse=is_worse)


def _signal(
    source: str,
    reason: str,
    value: float | None,
    threshold: float | None,
    unit: str,
    told: str,
    *,
    is_worse: bool | None,
) -> Signal:
    """`is_worse` is None where nobody can tell."""
    said = {True: "answers worse than before", False: "answers as before", None: "cannot be judged"}[is_worse]
    return Signal(
        question="target",
        reason=reason,
        subject=source,
        level="alarm" if is_worse else "note",
        value=value,
        threshold=threshold,
        unit=unit,
        why=f"{source[:1].upper()}{source[1:]} {said}: {told}.",
    )
