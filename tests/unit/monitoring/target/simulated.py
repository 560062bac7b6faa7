"""Windows of models whose truth is known, made from arrays of rows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import LabelDay, Metric, ScoreBin, Sums, Tally, TargetReference, TargetSummary

START = datetime(2026, 1, 1, tzinfo=UTC)
Rows = NDArray[Any]


def sums(values: Rows) -> Sums:
    own = values[np.isfinite(values)]
    return Sums(rows=len(own), total=float(own.sum()), squares=float((own**2).sum()))


def counts(values: Rows) -> dict[str, int]:
    return dict(Counter(str(each) for each in values.astype(int)))


def tally(scores: Rows, labels: Rows, labelled: Rows, column: str = "", value: str = "") -> Tally:
    answers = (scores > 0.5).astype(int)
    sure, truth = np.maximum(scores, 1 - scores), labels[labelled]
    numbers = {
        "score": scores,
        "confidence": sure,
        "doubt": sure * (1 - sure),
        "labelled_confidence": sure[labelled],
        "labelled_doubt": (sure * (1 - sure))[labelled],
        "brier": (scores[labelled] - truth) ** 2,
    }
    return Tally(
        column=column,
        value=value,
        rows=len(scores),
        predicted=counts(answers),
        labelled=int(labelled.sum()),
        labels=counts(truth),
        answered=counts(answers[labelled]),
        right=counts(truth[answers[labelled] == truth]),
        sums={name: sums(each) for name, each in numbers.items()},
    )


def binned(scores: Rows, labels: Rows, labelled: Rows) -> tuple[ScoreBin, ...]:
    numbers = np.minimum((scores * 50).astype(int), 49)
    return tuple(
        ScoreBin(
            number=int(number),
            rows=int(own.sum()),
            score_sum=float(scores[own].sum()),
            labelled=int((own & labelled).sum()),
            positive=int(labels[own & labelled].sum()),
            labelled_score_sum=float(scores[own & labelled].sum()),
        )
        for number in np.unique(numbers)
        for own in [numbers == number]
    )


def two_classes(
    day: int,
    *,
    rows: int = 400,
    inverted: bool = False,
    shuffled: bool = False,
    prior: float = 0.3,
    labelled_share: float = 1.0,
    groups: tuple[str, ...] = (),
    worse_group: str | None = None,
    overconfident: float = 0.0,
    **changes: Any,
) -> TargetSummary:
    """A day of a calibrated model whose scores are spread over [0, 1]; its accuracy is about 0.87."""
    rng = np.random.default_rng([day, rows])
    labels = (rng.random(rows) < prior).astype(int)
    logits = np.log(0.3 / 0.7) + 2.6 * (labels - 0.5) + 1.6 * rng.standard_normal(rows)
    scores = 1 / (1 + np.exp(-logits))
    names = rng.choice(groups, rows) if groups else np.array([""] * rows)
    wrong = (
        rng.random(rows) < np.where(names == worse_group, 0.5, 0.0) if worse_group else np.zeros(rows, bool)
    )
    wrong |= rng.random(rows) < overconfident
    truth = np.where(wrong, 1 - labels, labels)
    truth = 1 - truth if inverted else rng.permutation(truth) if shuffled else truth
    known = rng.random(rows) < labelled_share
    own = {
        "every": tally(scores, truth, known),
        "bins": binned(scores, truth, known),
        "groups": tuple(
            tally(scores[at], truth[at], known[at], "region", name)
            for name in groups
            if (at := names == name).any()
        ),
    }
    return window(day, "binary", **(own | changes))


def numbers(
    day: int, *, rows: int = 200, noise: float = 5.0, constant: float | None = None, labelled: bool = True
) -> TargetSummary:
    """A day of a regression whose labels spread by 20 around 50."""
    rng = np.random.default_rng([day, rows])
    truth = 50 + 20 * rng.standard_normal(rows)
    said = truth + noise * rng.standard_normal(rows)
    truth = np.full(rows, constant) if constant is not None else truth
    known = rows if labelled else 0
    of_rows = {"prediction": said}
    of_labelled = {
        "labelled_prediction": said,
        "label": truth,
        "product": said * truth,
        "absolute_error": abs(said - truth),
        "squared_error": (said - truth) ** 2,
    }
    found = {name: sums(each) for name, each in of_rows.items()}
    found |= {name: sums(each[:known]) for name, each in of_labelled.items()}
    return window(day, "regression", every=Tally(rows=rows, labelled=known, sums=found), positive=None)


def window(day: int, task: Any, **changes: Any) -> TargetSummary:
    fields: dict[str, Any] = {
        "model": "m",
        "run_id": "r",
        "task": task,
        "positive": "1",
        "window_start": START + timedelta(days=day),
        "window_end": START + timedelta(days=day + 1),
    }
    return TargetSummary(**(fields | changes))


def promoted(task: Any = "binary", primary: str = "accuracy", **metrics: float) -> TargetReference:
    """With intervals of some thousand test rows, and labels of 60 days."""
    days = range(-60, 0)
    if task == "regression":
        before = [
            LabelDay(start=None, rows=200, numbers=numbers(200 - day).every.sums["label"]) for day in days
        ]
    else:
        made = [two_classes(200 - day, rows=100) for day in days]
        before = [LabelDay(start=each.window_start, rows=100, labels=each.every.labels) for each in made]
    return TargetReference(
        model="m",
        run_id="r",
        task=task,
        primary_metric=primary,
        source="promotion",
        rows=4000,
        metrics={
            name: Metric(name=name, value=value, low=value - width, high=value + width)
            for name, value in metrics.items()
            for width in [0.01 if value < 1 else 0.03 * value]
        },
        label_days=tuple(before),
    )
