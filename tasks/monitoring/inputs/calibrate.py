"""Learn from the reference's days how much each statistic differs from day to day.

A day differs from the next by chance, which its number of rows tells, and by what days are: weekdays,
weather, holidays. Both are variances; a new window is compared with their sum, at its own number of rows. A
weekday has a level of its own where the reference has enough weeks to tell. Days in a row are alike, so what
one day exceeds the next one does more easily; by how much is measured, and the thresholds go by it.

Where nothing divides the snapshot into days, the champion's first quiet serving windows say how much days
differ, and the snapshot still says what is usual: what has moved since is never taken for usual.
The windows are measured around their own straight line, so that a drift that is as slow as they are long does
not widen what days may differ by. `benchmarks/drift/no_times.py` measures that beside a reference whose level
moves with the windows, which absorbs such a drift.

Source: DerSimonian and Laird, Meta-analysis in clinical trials, Controlled Clinical Trials 7 (1986), for the
variance between days.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.monitoring.inputs.statistics import Measured

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEKS_FOR_WEEKDAYS = 4
MOST_AUTOCORRELATION = 0.9


@dataclass(frozen=True)
class Calibration:
    """What is usual of each statistic; all arrays are per statistic.

    Attributes:
        level: 7 x statistics: what each weekday is expected to have, Monday first.
        between: The variance between days, chance taken off.
        uncertain: The variance of `level` itself.
        autocorrelation: Of one day with the next, in [0, 0.9].
        freedom: Degrees of freedom that `between` was estimated with.
        worst_pair: The largest value that two of three days in a row of the reference both exceed, in
        standard
            deviations.
    """

    level: Floats
    between: Floats
    uncertain: Floats
    autocorrelation: Floats
    freedom: float
    worst_pair: Floats


def calibrate(measured: Measured, weekdays: Sequence[int], *, spent: int = 0) -> Calibration:
    """What is usual, learnt from days in their order.

    Args:
        measured: The statistics of the reference's days.
        weekdays: Each day's weekday, 0 for Monday.
        spent: Degrees of freedom that were taken from the days before.
    """
    values, variances = measured.values, measured.variances
    days = np.asarray(weekdays)
    level, parameters = _levels(values, days)
    residual = values - level[days]
    freedom = max(len(days) - parameters - spent, 1)
    total = np.nansum(residual**2, axis=0) / freedom
    between = np.maximum(total - np.nanmean(variances, axis=0), 0)
    uncertain = total * parameters / len(days)
    z = residual / np.sqrt(between + variances)
    return Calibration(
        level=level,
        between=between,
        uncertain=uncertain,
        autocorrelation=_autocorrelation(z),
        freedom=float(freedom),
        worst_pair=_worst_pair(z),
    )


def standardise(measured: Measured, weekdays: Sequence[int], usual: Calibration) -> tuple[Floats, Floats]:
    """How far each window is off: in standard deviations of what one more day has, and on the statistic's own
    scale.
    """
    off = measured.values - usual.level[np.asarray(weekdays)]
    return off / np.sqrt(usual.between + usual.uncertain + measured.variances), off


def _levels(values: Floats, weekdays: Ints) -> tuple[Floats, int]:
    """Each weekday's level, and how many parameters they are.

    The days' own mean where there are too few weeks; else each weekday's mean, drawn towards it by how much
    of the difference between weekdays is no chance (James and Stein).
    """
    mean = np.nanmean(values, axis=0)
    plain = np.repeat(mean[None, :], 7, axis=0)
    counts = np.bincount(weekdays, minlength=7)
    if counts[counts > 0].min() < WEEKS_FOR_WEEKDAYS or np.count_nonzero(counts) < 2:
        return plain, 1
    seen = np.flatnonzero(counts)
    means = np.array([np.nanmean(values[weekdays == day], axis=0) for day in seen])
    within = sum(np.nansum((values[weekdays == day] - means[i]) ** 2, axis=0) for i, day in enumerate(seen))
    noise = within / max(len(weekdays) - len(seen), 1) / counts[seen].mean()
    spread = np.var(means, axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.clip(1 - noise / spread, 0, 1)
    kept = np.where(np.isfinite(kept), kept, 0)
    plain[seen] = mean + kept * (means - mean)
    return plain, len(seen)


def _autocorrelation(z: Floats) -> Floats:
    """Of each day with the next, at least 0: with the bias of short series taken off (Kendall 1954)."""
    days = len(z)
    centred = np.nan_to_num(z - np.nanmean(z, axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (centred[1:] * centred[:-1]).sum(axis=0) / (centred**2).sum(axis=0)
    found = np.where(np.isfinite(found), found, 0)
    return np.clip(found + (1 + 4 * found) / days, 0, MOST_AUTOCORRELATION)


def _worst_pair(z: Floats) -> Floats:
    z = np.nan_to_num(z)
    pairs = [np.minimum(side[gap:], side[:-gap]) for side in (z, -z) for gap in (1, 2) if len(z) > gap]
    return (
        np.maximum(np.max([pair.max(axis=0) for pair in pairs], axis=0), 0) if pairs else np.zeros(z.shape[1])
    )


ASSUMED_BETWEEN = 0.1
"""How much days differ where nobody has measured it: a tenth of a standard deviation."""

ASSUMED_FREEDOM = 20.0
ASSUMED_AUTOCORRELATION = 0.3


def assumed(measured: Measured) -> Calibration:
    """What stands in for a calibration where the reference has too few days: all of its rows, and a guess of
    how much days differ that is wider than most data has.
    """
    values, variances = measured.values, measured.variances
    weights = 1 / variances
    mean = np.nansum(values * weights, axis=0) / np.nansum(weights, axis=0)
    zeros = np.zeros(values.shape[1])
    return Calibration(
        level=np.repeat(mean[None, :], 7, axis=0),
        between=zeros + ASSUMED_BETWEEN**2,
        uncertain=1 / np.nansum(weights, axis=0),
        autocorrelation=zeros + ASSUMED_AUTOCORRELATION,
        freedom=ASSUMED_FREEDOM,
        worst_pair=zeros,
    )


def calibrate_on_serving(snapshot: Measured, served: Measured, weekdays: Sequence[int]) -> Calibration:
    """What is usual where the snapshot has no days: its level, and by how much windows that were served
    differ.

    The level is known as if the snapshot were of as many days as were served: from how many it is, nobody
    knows.

    Args:
        snapshot: The statistics of all rows of the snapshot.
        served: Those of the champion's first quiet windows, in their order.
        weekdays: Each window's weekday.
    """
    centre = assumed(snapshot)
    around = Measured(served.statistics, _around_their_line(served.values), served.variances)
    own = calibrate(around, weekdays, spent=1)
    return replace(
        own,
        level=centre.level + own.level,
        uncertain=centre.uncertain + own.uncertain,
        # A few weeks tell an autocorrelation within 0.2: what is assumed without them is the least.
        autocorrelation=np.maximum(own.autocorrelation, ASSUMED_AUTOCORRELATION),
    )


def _around_their_line(values: Floats) -> Floats:
    """Each statistic's distance from its own straight line over the windows."""
    known = np.isfinite(values)
    steps = np.where(known, np.arange(len(values))[:, None], np.nan)
    steps = steps - np.nanmean(steps, axis=0)
    off = values - np.nanmean(values, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.nansum(steps * off, axis=0) / np.nansum(steps**2, axis=0)
    return np.asarray(off - np.where(np.isfinite(slope), slope, 0) * steps)
