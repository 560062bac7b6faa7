"""Do groups fare otherwise, beside all others, than when the model was promoted?

A group's mean minus that of all other rows: a model that gets worse for everybody has no gap. The slices of
the evaluation are watched for getting worse; the groups of `gate.fairness` for moving apart in either
direction, in each metric that it limits.
"""

from collections.abc import Iterator
from functools import partial

from tasks.contracts import Sums, Tally, TargetReference, TargetSummary
from tasks.monitoring.target import measures
from tasks.monitoring.target.detector import Detector
from tasks.monitoring.target.evidence import Measured
from tasks.monitoring.target.expectation import Known
from tasks.spec import MonitorSpec

FEWEST_IN_GROUP = 30
"""Of a group's rows that are counted: windows are put together until it has so many."""
MOST_GROUPS = 20
NUMBERS = {"mae": "absolute_error", "mean_prediction": "prediction"}
SHARES = {"accuracy", "selection_rate", "true_positive_rate", "false_positive_rate"}


def gap_detectors(watched: str, reference: TargetReference, rules: MonitorSpec) -> tuple[Detector, ...]:
    """Of the largest slices, and of every group that the gate compares."""
    return (*_of_slices(watched, reference, rules), *_of_fairness(reference, rules))


def _of_slices(watched: str, reference: TargetReference, rules: MonitorSpec) -> Iterator[Detector]:
    name = watched if watched in {"accuracy", *measures.SUMS} else "accuracy"
    largest = sorted(reference.slices, key=lambda each: -each.rows)[:MOST_GROUPS]
    every = measures.known(name, reference.metrics.get(name))
    for each in largest:
        own = measures.known(name, each.metric) if each.metric.name == name else None
        known = None
        if own is not None and every is not None:
            known = Known(own.value - every.value, (own.error**2 + every.error**2) ** 0.5)
        usual = every.value if every else 0.1
        scale = 1.0 if name == "accuracy" else max(usual, 1e-9)
        yield Detector(
            reason="slice",
            subject=f"{each.column}={each.value}",
            group=(each.column, each.value),
            # The promotion does not know the slice's error in this measure, and it moves with the labels.
            certain=own is not None,
            measure=partial(_worse, name, each.column, each.value),
            floor=max(rules.share_floor, rules.tolerance) * (1.0 if scale == 1.0 else scale * 5),
            unit=0.02 * scale if scale == 1.0 else 0.1 * scale,
            known=known,
            assumed_between=(0.02 if scale == 1.0 else 0.1 * scale) ** 2,
        )


def _of_fairness(reference: TargetReference, rules: MonitorSpec) -> Iterator[Detector]:
    for gap in reference.fairness:
        scale = (
            1.0
            if gap.metric in SHARES
            else max(abs(each.metric) for each in gap.groups)
            if gap.groups
            else 1.0
        )
        rows = sum(each.rows for each in gap.groups)
        for each in gap.groups:
            others = rows - each.rows
            rest = sum(one.metric * one.rows for one in gap.groups if one is not each) / max(others, 1)
            for sign in (1, -1):
                # The groups' errors are not recorded; a share's is at most half the root of its rows.
                error = 0.5 * scale * (1 / max(each.rows, 1) + 1 / max(others, 1)) ** 0.5
                yield Detector(
                    reason="fairness",
                    subject=f"{gap.metric} of {gap.column}={each.value}",
                    group=(gap.column, each.value),
                    measure=partial(_apart, gap.metric, gap.column, each.value, sign),
                    floor=max(rules.share_floor, rules.tolerance) * scale,
                    unit=0.02 * scale,
                    known=Known(sign * (each.metric - rest), error),
                    assumed_between=(0.02 * scale) ** 2,
                )


def _worse(name: str, column: str, value: str, seen: TargetSummary) -> Measured | None:
    own = _group(seen, column, value)
    if own is None or own.labelled < FEWEST_IN_GROUP:
        return None
    return _difference(_loss(name, own), _loss(name, rest_of(seen.every, own)), 1)


def _loss(name: str, tally: Tally) -> Measured | None:
    found = measures.loss_of_tally(name, tally)
    if found is None or found.rows < FEWEST_IN_GROUP or found.variance is not None:
        return found
    return Measured(found.value, found.rows, measures.share_variance(found.value * found.rows, found.rows))


def _apart(metric: str, column: str, value: str, sign: int, seen: TargetSummary) -> Measured | None:
    own = _group(seen, column, value)
    if own is None:
        return None
    sides = [_value(metric, seen.positive, tally) for tally in (own, rest_of(seen.every, own))]
    return _difference(sides[0], sides[1], sign)


def _value(metric: str, positive: str | None, tally: Tally) -> Measured | None:
    if metric in NUMBERS:
        return measures.mean(tally.sums.get(NUMBERS[metric], Sums()))
    hits, rows = _counts(metric, positive or "", tally)
    if rows < FEWEST_IN_GROUP:
        return None
    return Measured(hits / rows, rows, measures.share_variance(hits, rows))


def _counts(metric: str, positive: str, tally: Tally) -> tuple[int, int]:
    """How many rows have it, of how many."""
    if metric == "selection_rate":
        return tally.predicted.get(positive, 0), tally.rows
    if metric == "accuracy":
        return sum(tally.right.values()), tally.labelled
    found, deserved = tally.right.get(positive, 0), tally.labels.get(positive, 0)
    if metric == "true_positive_rate":
        return found, deserved
    return tally.answered.get(positive, 0) - found, tally.labelled - deserved


def _difference(own: Measured | None, others: Measured | None, sign: int) -> Measured | None:
    if own is None or others is None or own.variance is None or others.variance is None:
        return None
    return Measured(sign * (own.value - others.value), own.rows, own.variance + others.variance)


def _group(seen: TargetSummary, column: str, value: str) -> Tally | None:
    return next((each for each in seen.groups if (each.column, each.value) == (column, value)), None)


def rest_of(every: Tally, group: Tally) -> Tally:
    """All rows but those of a group."""
    names = ("predicted", "labels", "answered", "right")
    counts = {
        name: {key: rows - getattr(group, name).get(key, 0) for key, rows in getattr(every, name).items()}
        for name in names
    }
    nothing = Sums()
    sums = {
        name: Sums.model_construct(
            rows=each.rows - own.rows,
            total=each.total - own.total,
            squares=each.squares - own.squares,
        )
        for name, each in every.sums.items()
        for own in [group.sums.get(name, nothing)]
    }
    rows = {"rows": every.rows - group.rows, "labelled": every.labelled - group.labelled}
    return every.model_copy(update={**counts, **rows, "sums": sums})
