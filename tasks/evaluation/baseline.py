"""The simple model that a candidate has to be better than: it looks at no feature."""

from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.answers import Answers, as_numbers, encode
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.scoring import Scores

BY_MEDIAN = frozenset({"mae", "median_absolute_error"})
"""What the median does best among models that look at no feature; for the others it is the mean."""


def name_baseline(frozen: Frozen, primary_metric: str) -> str:
    if frozen.task != "regression":
        return "the training rows' most frequent label"
    return f"the training rows' {'median' if primary_metric in BY_MEDIAN else 'mean'}"


def answer_simply(train: pa.Table, label: str, frozen: Frozen, primary_metric: str) -> tuple[Answers, Scores]:
    """How often each label was in the training rows, or their mean or median, whatever is asked."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    labels, rows = train[label].to_pylist(), len(frozen.rows)
    if frozen.task == "regression":
        strategy = "median" if primary_metric in BY_MEDIAN else "mean"
        known = as_numbers(labels)
        value = float(
            DummyRegressor(strategy=strategy).fit(np.zeros((len(known), 1)), known).predict([[0.0]])[0]
        )
        return _always(value, None, None, frozen, rows)
    codes = encode(labels, frozen.classes)
    simple = DummyClassifier(strategy="prior").fit(np.zeros((len(codes), 1)), codes)
    shares = [float((codes == code).mean()) for code in range(len(frozen.classes))]
    guess = frozen.classes[int(simple.predict([[0.0]])[0])]
    chance = shares[1] if len(shares) == 2 else None
    return _always(
        guess,
        chance,
        {str(label): share for label, share in zip(frozen.classes, shares, strict=True)},
        frozen,
        rows,
    )


def _always(
    prediction: Any, score: float | None, probabilities: dict[str, float] | None, frozen: Frozen, rows: int
) -> tuple[Answers, Scores]:
    raw = Scores(
        predictions=(prediction,) * rows,
        scores=(score,) * rows,
        probabilities=(probabilities,) * rows,
        refused=(),
        latencies_seconds=(),
        answers=(),
    )
    return frozen.answers_of(raw), raw
