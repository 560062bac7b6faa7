"""How much answers have in common with labels, beyond what they would have if dealt out at random.

Of scores 2 AUC - 1, of classes Cohen's kappa, of numbers Pearson's correlation: 1 where they agree, 0 where
they have nothing to do with each other, below 0 where labels are inverted.
"""

from math import sqrt

from tasks.contracts import Sums, TargetReference, TargetSummary
from tasks.monitoring.target.evidence import Measured
from tasks.monitoring.target.expectation import Known
from tasks.monitoring.target.measures import FEWEST_ROWS, REACH, auc_loss, share_variance

LEAST_CHANCE = 0.02
"""Where answers and labels agree by chance in all but so many rows, kappa says nothing."""


def unlike(method: str, seen: TargetSummary) -> Measured | None:
    """The skill with the other sign, so that more is worse."""
    if method == "roc_auc":
        found = auc_loss(seen.bins)
        return (
            None if found is None else Measured(2 * found.value - 1, found.rows, 4 * (found.variance or 0.0))
        )
    return _correlation(seen) if method == "correlation" else _kappa(seen)


def method_of(reference: TargetReference, *, has_scores: bool) -> str:
    if reference.task == "regression":
        return "correlation"
    return "roc_auc" if reference.task == "binary" and has_scores else "kappa"


def known(method: str, reference: TargetReference) -> Known | None:
    """The promoted model's, with the other sign; None where its metrics do not give it."""
    name = {"roc_auc": "roc_auc", "kappa": "accuracy", "correlation": "r2"}[method]
    metric = reference.metrics.get(name)
    if metric is None:
        return None
    ends = [_skill(method, each, reference) for each in (metric.value, metric.low, metric.high)]
    error = (max(ends) - min(ends)) / 2 / REACH
    return Known(-ends[0], error, -max(ends), -min(ends))


def _skill(method: str, value: float, reference: TargetReference) -> float:
    if method == "roc_auc":
        return 2 * value - 1
    if method == "correlation":
        return sqrt(max(value, 0.0))
    counts: dict[str, int] = {}
    for day in reference.label_days:
        for name, rows in day.labels.items():
            counts[name] = counts.get(name, 0) + rows
    total = sum(counts.values())
    chance = sum((rows / total) ** 2 for rows in counts.values()) if total else 0.5
    return (value - chance) / max(1 - chance, LEAST_CHANCE)


def _kappa(seen: TargetSummary) -> Measured | None:
    every = seen.every
    if every.labelled < FEWEST_ROWS:
        return None
    right = sum(every.right.values())
    both = (every.labels.get(name, 0) * rows for name, rows in every.answered.items())
    room = 1 - sum(both) / every.labelled**2
    if room < LEAST_CHANCE:
        return None
    variance = share_variance(right, every.labelled) / room**2
    return Measured(-(right / every.labelled - (1 - room)) / room, every.labelled, variance)


def _correlation(seen: TargetSummary) -> Measured | None:
    names = ("product", "labelled_prediction", "label")
    product, said, truth = (seen.every.sums.get(name, Sums()) for name in names)
    if product.rows < FEWEST_ROWS or said.rows != product.rows or truth.rows != product.rows:
        return None
    rows = product.rows
    spread = [each.squares / rows - (each.total / rows) ** 2 for each in (said, truth)]
    if min(spread) <= 1e-12 * max(1.0, said.squares / rows, truth.squares / rows):
        return None
    shared = product.total / rows - said.total * truth.total / rows**2
    value = max(-1.0, min(1.0, shared / sqrt(spread[0] * spread[1])))
    return Measured(-value, rows, max((1 - value**2) ** 2 / (rows - 1), 1e-6))
