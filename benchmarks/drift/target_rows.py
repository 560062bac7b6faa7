"""Simulated days of models whose answers are rows: scores of two classes, and numbers with errors.

Days differ: in their share of positive labels by a tenth of it, in how well the model tells the classes
apart by 3 %, in the size of a regression's errors by 5 % and in its labels' mean by 5 % of their spread.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import LabelDay, Metric, ScoreBin, Sums, Tally, TargetReference, TargetSummary
from tasks.monitoring.target.measures import auc_of

START = datetime(2026, 1, 1, tzinfo=UTC)
TEST_ROWS, DRAWS, BINS, KNOWN_DAYS = 5_000, 200, 50, 60
SEPARATION, SPREAD = 2.6, 1.6
"""Of the scores' logits between the classes, and within one: AUC 0.875, and calibrated."""
MEAN, DEVIATION, ERROR = 50.0, 20.0, 5.0
HEAVY_DEGREES = 3.0
"""Student's distribution with so many degrees of freedom has a variance, and no fourth moment: the standard
error of the mean squared error rests on a variance that is infinite.
"""

Numbers = NDArray[np.float64]
Rows = tuple[Numbers, Numbers]
"""Answers (scores, or numbers) and labels."""


@dataclass(frozen=True)
class Made:
    """A model's world.

    Attributes:
        prior: Of positive labels; of a regression it says nothing.
        heavy: Whether a regression's errors have heavy tails.
        worse: What the separation, or the errors, are multiplied by.
        late: The mean number of days after which a label comes; 0 for at once.
    """

    name: str
    task: Literal["binary", "regression"]
    prior: float = 1 / 3
    heavy: bool = False
    worse: float = 1.0
    late: float = 0.0


def rows_of(made: Made, count: int, rng: np.random.Generator, *, same_day: bool = True) -> Rows:
    """Answers and labels of one day; of many days where they are the promotion's."""

    def one() -> Numbers | float:
        return rng.standard_normal(None if same_day else count)

    if made.task == "binary":
        prior = np.clip(made.prior * (1 + 0.1 * one()), 1e-4, 0.99)
        labels = (rng.random(count) < prior).astype(np.float64)
        apart = SEPARATION * made.worse * (1 + 0.03 * one())
        logits = apart * (labels - 0.5) + SPREAD * rng.standard_normal(count)
        return 1 / (1 + np.exp(-logits - np.log(made.prior / (1 - made.prior)))), labels
    truth = MEAN + DEVIATION * (rng.standard_normal(count) + 0.05 * one())
    errors = rng.standard_t(HEAVY_DEGREES, count) if made.heavy else rng.standard_normal(count)
    return truth + ERROR * made.worse * np.exp(0.05 * one()) * errors, truth


def window_of(made: Made, number: int, rows: Rows, labelled: NDArray[np.bool_]) -> TargetSummary:
    return TargetSummary(
        model="m",
        run_id="r",
        task=made.task,
        positive="1" if made.task == "binary" else None,
        window_start=START + timedelta(days=number),
        window_end=START + timedelta(days=number + 1),
        every=_classes(rows, labelled) if made.task == "binary" else _numbers(rows, labelled),
        bins=_bins(rows, labelled) if made.task == "binary" else (),
    )


def _classes(rows: Rows, labelled: NDArray[np.bool_]) -> Tally:
    scores, labels = rows
    said, sure = (scores > 0.5).astype(int), np.maximum(scores, 1 - scores)
    truth, own = labels[labelled].astype(int), scores[labelled]
    least = 2.220446049250313e-16
    numbers = {
        "score": scores,
        "confidence": sure,
        "doubt": sure * (1 - sure),
        "labelled_confidence": sure[labelled],
        "labelled_doubt": (sure * (1 - sure))[labelled],
        "brier": (own - truth) ** 2,
        "log_loss": -np.log(np.maximum(np.where(truth == 1, own, 1 - own), least)),
    }
    return Tally(
        rows=len(scores),
        labelled=len(truth),
        predicted=_counts(said),
        labels=_counts(truth),
        answered=_counts(said[labelled]),
        right=_counts(truth[said[labelled] == truth]),
        sums={name: _sums(values) for name, values in numbers.items()},
    )


def _numbers(rows: Rows, labelled: NDArray[np.bool_]) -> Tally:
    said, truth = rows
    own, label = said[labelled], truth[labelled]
    numbers = {
        "prediction": said,
        "labelled_prediction": own,
        "label": label,
        "product": own * label,
        "absolute_error": abs(own - label),
        "squared_error": (own - label) ** 2,
    }
    return Tally(
        rows=len(said), labelled=len(own), sums={name: _sums(each) for name, each in numbers.items()}
    )


def _counts(classes: NDArray[np.int64]) -> dict[str, int]:
    return {str(name): int(count) for name, count in enumerate(np.bincount(classes, minlength=2)) if count}


def _sums(values: Numbers) -> Sums:
    return Sums(rows=len(values), total=float(values.sum()), squares=float((values**2).sum()))


def _bins(rows: Rows, labelled: NDArray[np.bool_]) -> tuple[ScoreBin, ...]:
    scores, labels = rows
    numbers = np.minimum((scores * BINS).astype(int), BINS - 1)
    counted = [
        np.bincount(numbers[where], weights=weights, minlength=BINS)
        for where, weights in (
            (slice(None), None),
            (slice(None), scores),
            (labelled, None),
            (labelled, labels[labelled]),
            (labelled, scores[labelled]),
        )
    ]
    names = ("rows", "score_sum", "labelled", "positive", "labelled_score_sum")
    return tuple(
        ScoreBin(number=number, **{name: found[number] for name, found in zip(names, counted, strict=True)})
        for number in np.flatnonzero(counted[0])
    )


def _auc(rows: Rows) -> float:
    scores, labels = rows
    edges = np.linspace(0, 1, 1001)
    up, down = (np.histogram(scores[labels == each], edges)[0] for each in (1, 0))
    return auc_of(up, down)


def _balanced(rows: Rows) -> float:
    right = (rows[0] > 0.5) == rows[1]
    return float(np.mean([right[rows[1] == each].mean() for each in (0, 1)]))


METRICS: dict[str, dict[str, Callable[[Rows], float]]] = {
    "binary": {
        "accuracy": lambda rows: float(((rows[0] > 0.5) == rows[1]).mean()),
        "roc_auc": _auc,
        "brier": lambda rows: float(((rows[0] - rows[1]) ** 2).mean()),
        "balanced_accuracy": _balanced,
    },
    "regression": {
        "mae": lambda rows: float(abs(rows[0] - rows[1]).mean()),
        "rmse": lambda rows: float(np.sqrt(((rows[0] - rows[1]) ** 2).mean())),
        "r2": lambda rows: float(1 - ((rows[0] - rows[1]) ** 2).mean() / rows[1].var()),
    },
}
"""What the gate may compare models by, and the watch knows."""


def promoted(made: Made, primary: str, rng: np.random.Generator) -> TargetReference:
    """The promotion's test rows, with bootstrap intervals, and days of the validation part."""
    right = replace(made, worse=1.0)
    answers, labels = rows_of(right, TEST_ROWS, rng, same_day=False)
    drawn = rng.integers(0, TEST_ROWS, (DRAWS, TEST_ROWS))
    metrics = {}
    for name, metric in METRICS[made.task].items():
        low, high = np.quantile([metric((answers[at], labels[at])) for at in drawn], (0.025, 0.975))
        metrics[name] = Metric(name=name, value=metric((answers, labels)), low=low, high=high)
    return TargetReference(
        model="m",
        run_id="r",
        task=made.task,
        primary_metric=primary,
        source="promotion",
        rows=TEST_ROWS,
        metrics=metrics,
        label_days=tuple(_label_day(right, rng) for _ in range(KNOWN_DAYS)),
    )


def _label_day(made: Made, rng: np.random.Generator) -> LabelDay:
    _, labels = rows_of(made, 50, rng)
    if made.task == "regression":
        return LabelDay(start=None, rows=50, numbers=_sums(labels))
    return LabelDay(start=None, rows=50, labels=_counts(labels.astype(int)))
