"""One question that is asked of each window: is its mean beyond what was expected, and by how much?"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, Protocol

import numpy as np

from tasks.contracts import TargetSummary
from tasks.monitoring.target import evidence
from tasks.monitoring.target.evidence import MOST_ERRORS, Measured, Null, Path
from tasks.monitoring.target.expectation import WINDOWS, Expectation, Known, expect
from tasks.monitoring.target.measures import merged, share_variance, without_groups

REFERENCE_REACH = 1.0
"""How many standard errors the expectation may be wrong: five of six references are within, one-sided."""
IMPRECISE_REACH = 2.5
"""So many without a floor, where the floor is smaller than what few rows leave open: one of 160 is beyond."""

Measure = Callable[[TargetSummary], Measured | None]


class Additive(Protocol):
    """What is asked of windows that are put together: of each a part is kept, and parts add up.

    Parts are of the kind that `of` gives.
    """

    def of(self, seen: TargetSummary) -> Any:
        """The part of a window that it needs."""

    def both(self, first: Any, second: Any) -> Any:
        """Two parts as one, of which the first is the earlier one."""

    def start(self, part: Any) -> datetime:
        """Where the window of a part, or the first of them, begins."""

    def measured(self, part: Any) -> Measured | None:
        """The mean; None where the rows do not say."""


@dataclass(frozen=True)
class Whole:
    """A measure of all rows of a window."""

    measure: Measure

    def of(self, seen: TargetSummary) -> TargetSummary:
        return without_groups(seen)

    def both(self, first: TargetSummary, second: TargetSummary) -> TargetSummary:
        return merged(first, second)

    def start(self, part: TargetSummary) -> datetime:
        return part.window_start

    def measured(self, part: TargetSummary) -> Measured | None:
        return self.measure(part)


@dataclass(frozen=True)
class Detector:
    """What is asked, in units of the measure, which is larger for the worse.

    Attributes:
        reason, subject: As a `Signal` has them.
        measure: What is asked of a window; None where its rows do not say.
        floor: How far beyond what was expected the mean may be.
        unit: The smallest change beyond that which matters.
        known: What is known before the first window.
        days: Windows of before the first, which then are not learnt from.
        assumed_between: The variance of windows' means before any is seen.
        keeps: By what the expectation is multiplied: 1, or the part of an advantage that has to be left.
        most_errors: For how many standard errors one window may speak.
        least_between: What the variance of windows' means is at least.
        certain: Whether it can alarm; else it is `suspicious` at most.
    """

    reason: str
    subject: str
    measure: Measure | Additive
    floor: float
    unit: float
    known: Known | None
    assumed_between: float
    days: tuple[Measured, ...] = ()
    keeps: float = 1.0
    most_errors: float = MOST_ERRORS
    least_between: float = 0.0
    certain: bool = True


@dataclass(frozen=True)
class Trace:
    """A detector's evidence over the windows that say something.

    Attributes:
        starts: Of each window, or of the first of several that were put together to have enough rows.
        seen: Their means.
        expected: What each was expected to be before it was seen.
        boundaries: What each was allowed to be.
        log_threshold: At what logarithm of the evidence it alarms.
    """

    detector: Detector
    starts: tuple[datetime, ...]
    seen: tuple[Measured, ...]
    expected: tuple[Expectation, ...]
    boundaries: tuple[float, ...]
    path: Path
    log_threshold: float

    @property
    def alarmed(self) -> bool:
        return self.detector.certain and self.log_evidence >= self.log_threshold

    @property
    def log_evidence(self) -> float:
        return float(self.path.log_evidence[-1]) if self.starts else -inf

    def since(self) -> int:
        """The place of the window from which on the windows speak for a change."""
        return int(self.path.since[-1])

    def mean_since(self) -> float:
        seen = self.seen[self.since() :]
        return float(np.average([each.value for each in seen], weights=[each.rows for each in seen]))


def trace(detector: Detector, windows: Iterable[TargetSummary], log_threshold: float) -> Trace:
    """The evidence over windows that are in order."""
    dated = chunks(detector.measure, windows)
    expectations = _expectations(detector, [seen for _, seen in dated])
    kept = [(at, seen, own) for (at, seen), own in zip(dated, expectations, strict=True) if own is not None]
    boundaries = [_boundary(detector, own) for _, _, own in kept]
    log_e = [
        evidence.log_e_values(
            seen, Null(limit, max(own.between, detector.least_between), detector.unit), detector.most_errors
        )
        for (_, seen, own), limit in zip(kept, boundaries, strict=True)
    ]
    return Trace(
        detector=detector,
        starts=tuple(at for at, _, _ in kept),
        seen=tuple(seen for _, seen, _ in kept),
        expected=tuple(own for _, _, own in kept),
        boundaries=tuple(boundaries),
        path=evidence.path(log_e, log_threshold),
        log_threshold=log_threshold,
    )


def chunks(measure: Measure | Additive, windows: Iterable[TargetSummary]) -> list[tuple[datetime, Measured]]:
    """What is measured of each window; those with too few rows are put together until they say something."""
    asked = Whole(measure) if callable(measure) else measure
    found: list[tuple[datetime, Measured]] = []
    waiting: Any = None
    for each in windows:
        waiting = asked.of(each) if waiting is None else asked.both(waiting, asked.of(each))
        if (seen := asked.measured(waiting)) is not None:
            found.append((asked.start(waiting), seen))
            waiting = None
    return found


def _boundary(detector: Detector, own: Expectation) -> float:
    reach = max(REFERENCE_REACH * own.error + detector.floor, IMPRECISE_REACH * own.error)
    return detector.keeps * own.center + reach


def _expectations(detector: Detector, seen: Sequence[Measured]) -> list[Expectation | None]:
    """Of each window before it is seen; from `WINDOWS` on it stays what it is."""
    learnt = list(detector.days) if detector.days else list(seen[:WINDOWS])
    values = np.array([each.value for each in learnt], dtype=np.float64)
    variances = np.array([variance_of(each) for each in learnt], dtype=np.float64)
    places = [len(learnt)] if detector.days else range(min(len(seen), WINDOWS) + 1)
    found = [
        expect(values[:place], variances[:place], detector.known, detector.assumed_between)
        for place in places
    ]
    return [found[min(place, len(found) - 1)] for place in range(len(seen))]


def variance_of(seen: Measured) -> float:
    """Of its sampling error."""
    return share_variance(seen.value * seen.rows, seen.rows) if seen.variance is None else seen.variance
