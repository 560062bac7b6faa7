"""Do groups fare otherwise, beside all others, than when the model was promoted?

A group's mean minus that of all other rows: a model that gets worse for everybody has no gap. The slices of
the evaluation are watched for getting worse; the groups of `gate.fairness` for moving apart in either
direction, in each metric that it limits.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tasks.contracts import Tally, TargetReference, TargetSummary
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


def gap_detectors(
    watched: str, carried: Set[str], reference: TargetReference, rules: MonitorSpec
) -> tuple[Detector, ...]:
    """Of the largest slices, and of every group that the gate compares.

    Args:
        carried: The columns that windows are divided by: of the others nothing is ever seen.
    """
    slices = [each for each in reference.slices if each.column in carried]
    fairness = [each for each in reference.fairness if each.column in carried]
    seen = reference.model_copy(update={"slices": tuple(slices), "fairness": tuple(fairness)})
    return (*_of_slices(watched, seen, rules), *_of_fairness(seen, rules))


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
            # The promotion does not know the slice's error in this measure, and it moves with the labels.
            certain=own is not None,
            measure=Gap(name, each.column, each.value),
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
                    measure=Gap(gap.metric, gap.column, each.value, sign),
                    floor=max(rules.share_floor, rules.tolerance) * scale,
                    unit=0.02 * scale,
                    known=Known(sign * (each.metric - rest), error),
                    assumed_between=(0.02 * scale) ** 2,
                )


class Counted(NamedTuple):
    """What adds up over windows of the rows that are counted.

    Of a share `total` are its hits, and `squares` is not used.
    """

    rows: int = 0
    total: float = 0
    squares: float = 0

    def plus(self, other: "Counted") -> "Counted":
        return Counted(self.rows + other.rows, self.total + other.total, self.squares + other.squares)

    def minus(self, other: "Counted") -> "Counted":
        return Counted(self.rows - other.rows, self.total - other.total, self.squares - other.squares)


class Sides(NamedTuple):
    """A group, and all rows with it; `labelled` are the group's rows whose label has come."""

    start: datetime
    labelled: int
    own: Counted
    every: Counted


@dataclass(frozen=True)
class Gap:
    """A group's mean minus that of all other rows.

    It keeps of windows what it asks for: to merge whole ones took most of a check's time.

    Attributes:
        name: A loss of a slice (`accuracy` is asked as an error), or a metric of `gate.fairness`.
        sign: In which direction it is larger for the worse; None for a slice, whose loss is.
    """

    name: str
    column: str
    value: str
    sign: int | None = None

    def of(self, seen: TargetSummary) -> Sides:
        own = self._group(seen)
        counted = Counted() if own is None else self._counted(seen.positive, own)
        labelled = 0 if own is None else own.labelled
        return Sides(seen.window_start, labelled, counted, self._counted(seen.positive, seen.every))

    def _group(self, seen: TargetSummary) -> Tally | None:
        for one in seen.groups:
            if one.value == self.value and one.column == self.column:
                return one
        return None

    def both(self, first: Sides, second: Sides) -> Sides:
        labelled = first.labelled + second.labelled
        return Sides(first.start, labelled, first.own.plus(second.own), first.every.plus(second.every))

    def start(self, part: Sides) -> datetime:
        return part.start

    def measured(self, part: Sides) -> Measured | None:
        if self.sign is None and part.labelled < FEWEST_IN_GROUP:
            return None
        own, others = (self._mean(each) for each in (part.own, part.every.minus(part.own)))
        if own is None or others is None or own.variance is None or others.variance is None:
            return None
        return Measured(
            (self.sign or 1) * (own.value - others.value), own.rows, own.variance + others.variance
        )

    def _mean(self, counted: Counted) -> Measured | None:
        if self.name in measures.SUMS or self.name in NUMBERS:
            return measures.mean_of(*counted)
        rows, hits, _ = counted
        if rows < FEWEST_IN_GROUP:
            return None
        if self.sign is not None:
            return Measured(hits / rows, rows, measures.share_variance(hits, rows))
        error = 1 - hits / rows
        return Measured(error, rows, measures.share_variance(error * rows, rows))

    def _counted(self, positive: str | None, tally: Tally) -> Counted:
        sums = NUMBERS.get(self.name) if self.sign else measures.SUMS.get(self.name)
        if sums is not None:
            found = tally.sums.get(sums)
            return Counted() if found is None else Counted(found.rows, found.total, found.squares)
        hits, rows = _counts(self.name, positive or "", tally)
        return Counted(rows, hits)


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
