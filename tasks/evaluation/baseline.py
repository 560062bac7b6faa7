"""The simple model that a candidate has to beat.

By `gate.baseline: constant` it knows the training rows' labels and nothing else; by `linear` it is the better
of that and of a linear model of the features, so that who beats it beats both.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tasks.evaluation import linear_model, metrics
from tasks.evaluation.answers import Judged, Target
from tasks.evaluation.classification import BY_PROBABILITIES
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.scoring import Scores
from tasks.spec import PipelineSpec, kind_of, label_text
from tasks.stores.same_rows import Mask

BY_THE_MEDIAN = ("mae", "median_absolute_error")
"""Of all constants, the median has the smallest absolute error and the mean the smallest squared one."""


class Baseline(NamedTuple):
    """What the gate's sentences call it, and its answers."""

    name: str
    judged: Judged


def choose_baseline(train: pa.Table, spec: PipelineSpec, frozen: Frozen, tested: Mask) -> Baseline:
    """The baseline that `gate.baseline` asks for, fitted to the training rows alone.

    Which of two is better, the test rows say: that can only make it harder for the candidate.

    Args:
        tested: Which of the frozen rows are test rows; all of them are answered.
    """
    constant = Baseline(_name_of(spec), baseline(train, spec, frozen))
    if spec.gate.baseline == "constant":
        return constant
    fitted = linear_model.fit(train, spec.data.label, spec.data.feature_types, frozen.target)
    if fitted is None:
        return constant
    columns = zip(*fitted.answers(frozen.rows), strict=True)
    predictions, scores, probabilities = columns
    raw = Scores(predictions, scores, probabilities, refused=(), latencies_seconds=(), answers=())
    last = "ridge" if spec.task == "regression" else "logistic"
    linear = Baseline(f"a {last} regression on the features", Judged.of(raw, frozen.target))
    test = frozen.where(tested)
    return max(constant, linear, key=lambda each: _goodness(each.judged.where(tested), spec, test))


def _goodness(judged: Judged, spec: PipelineSpec, frozen: Frozen) -> float:
    """The primary metric, more being better; of what does not define it, less than any."""
    value = metrics.value_of(spec.gate.primary_metric, frozen.target, frozen.truth, judged.answers)
    return float("-inf") if value is None else kind_of(spec.gate.primary_metric).sign * value


def baseline(train: pa.Table, spec: PipelineSpec, frozen: Frozen) -> Judged:
    """The constant model's answers.

    For classes the most frequent label of the training rows, with how often each was there as its
    probability; for a regression their mean or median, whichever suits the primary metric.
    """
    labels = train[spec.data.label].to_pylist()
    if spec.task == "regression":
        raw = _constant(_middle(labels, spec), None, None, len(frozen.rows))
    else:
        raw = _most_frequent(labels, frozen.target, len(frozen.rows))
    return Judged.of(raw, frozen.target)


def _name_of(spec: PipelineSpec) -> str:
    """What the gate's sentences call the baseline."""
    if spec.task == "regression":
        return f"the training rows' {_middle_of(spec)}"
    if spec.gate.primary_metric in BY_PROBABILITIES:
        return "the training rows' shares of the labels"
    return "the training rows' most frequent label"


def _most_frequent(labels: list[Any], target: Target, rows: int) -> Scores:
    from sklearn.dummy import DummyClassifier

    known = target.encode(labels)
    simple = DummyClassifier(strategy="prior").fit(np.zeros((len(known), 1)), known)
    guess = int(simple.predict([[0.0]])[0])
    if target.task == "binary":
        return _constant(target.classes[guess], float((known == 1).mean()), None, rows)
    shares = dict(_shares(simple, target))
    return _constant(target.classes[guess], max(shares.values()), shares, rows)


def _shares(simple: Any, target: Target) -> Iterator[tuple[str, float]]:
    for code, share in zip(simple.classes_, simple.class_prior_, strict=True):
        yield label_text(target.classes[code]), float(share)


def _middle(labels: list[Any], spec: PipelineSpec) -> float:
    from sklearn.dummy import DummyRegressor

    numbers = Target("regression").encode(labels)
    simple = DummyRegressor(strategy=_middle_of(spec)).fit(np.zeros((len(numbers), 1)), numbers)
    return float(simple.predict([[0.0]])[0])


def _middle_of(spec: PipelineSpec) -> str:
    return "median" if spec.gate.primary_metric in BY_THE_MEDIAN else "mean"


def _constant(
    prediction: Any, score: float | None, probabilities: dict[str, float] | None, rows: int
) -> Scores:
    """One answer to every row."""
    return Scores(
        predictions=(prediction,) * rows,
        scores=(score,) * rows,
        probabilities=(probabilities,) * rows,
        refused=(),
        latencies_seconds=(),
        answers=(),
    )
