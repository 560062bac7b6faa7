"""Has a column changed: follow every column's statistics over the windows, and say what is sure.

A pure function of the reference's profiles, the windows' profiles and the model's rules, so it can be
replayed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import ColumnProfile, ColumnScale, Reference, Signal, WindowProfile
from tasks.monitoring.inputs import sentences, units
from tasks.monitoring.inputs.calibrate import (
    Calibration,
    assumed,
    calibrate,
    calibrate_on_serving,
    standardise,
)
from tasks.monitoring.inputs.charts import Charts, follow
from tasks.monitoring.inputs.effects import Effects, effects, floors_of
from tasks.monitoring.inputs.statistics import Measured, Statistic, measure, together
from tasks.monitoring.inputs.traits import Trait, traits
from tasks.spec import MonitorSpec

Floats = NDArray[np.float64]

A_DAY = timedelta(days=1)

DAYS_FOR_CALIBRATION = 20
"""With fewer days of the reference nobody knows how much days differ; a wider guess stands in."""

GROSS_TIMES = 2.0
GROSS_FLOORS = 3.0
"""A change of so many times its threshold and of so many floors is sure from one window alone."""

BROAD = 3
"""So many columns that are off on one window, and half of all, are sure; more where the reference's days had.
"""

NEARLY = 0.1
"""So much of the slow chart's limit makes a change suspicious."""


@dataclass(frozen=True)
class Columns:
    """What was found out about the columns.

    Attributes:
        signals: What was noticed about them in the last window, the gravest first.
        statistics: What each statistic is; the arrays below are windows x statistics, or per window.
        z, effects, charts: How far each was off, how large that is, and both charts.
        floors: The smallest change that matters of each statistic.
        broad: How many columns have to be off on one window to be sure at once.
        left_out: Columns that are not followed, and why.
        calibrated: Whether the reference's own days say how much days differ.
        days: Of how many, and `needed`: how many it takes.
    """

    signals: tuple[Signal, ...]
    statistics: tuple[Statistic, ...]
    z: Floats
    effects: Effects
    charts: Charts
    floors: Floats
    broad: int
    left_out: tuple[Trait, ...]
    calibrated: bool
    days: int
    needed: int = DAYS_FOR_CALIBRATION


def look_at_columns(
    reference: Reference, windows: Sequence[WindowProfile], rules: MonitorSpec, rate: float
) -> Columns:
    """Follow the columns over the windows.

    Args:
        windows: In their order, at least one; the last is the one that is judged.
        rate: How many false alarms a window may give, all columns together.
    """
    left_out = traits(reference)
    known, seen = _measured(reference, left_out, windows)
    merged = _have_no_weekday(reference)
    days = _weekdays(windows, merged=merged)
    calibrated = len(reference.days) >= DAYS_FOR_CALIBRATION
    known, known_days, usual = _usual(reference, known, merged=merged)
    z, off = standardise(seen, days, usual)
    floors = floors_of(seen.statistics, rules, calibrated=calibrated)
    sizes = effects(seen, off, days, usual, floors)
    charts = follow(z, sizes.matters, sizes.zone, usual, rate)
    known_z, known_off = standardise(known, known_days, usual)
    known_sizes = effects(known, known_off, known_days, usual, floors)
    worst = int(_columns_off(known.statistics, known_z, known_sizes, charts).max(initial=0))
    found = Columns(
        signals=(),
        statistics=seen.statistics,
        z=z,
        effects=sizes,
        charts=charts,
        floors=floors,
        broad=_broad(seen.statistics, worst),
        left_out=left_out,
        calibrated=calibrated,
        days=len(reference.days),
    )
    signals = sorted(_signals(found, reference, windows), key=_gravest_first)
    return replace(found, signals=tuple(signals))


def _usual(reference: Reference, known: Measured, *, merged: bool) -> tuple[Measured, list[int], Calibration]:
    """What is usual, and the days of the reference that a window has to be more unlike than.

    Args:
        known: The statistics of all rows of the snapshot, and of the reference's days (`_measured`).
    """
    whole, days = known.part(slice(1)), known.part(slice(1, None))
    weekdays = _weekdays(reference.days, merged=merged)
    if reference.serving_windows:
        served = slice(-reference.serving_windows, None)
        usual = calibrate_on_serving(whole, days.part(served), weekdays[served])
        # The windows themselves are judged: what they are off by must not raise what windows may be off by.
        return whole, [0], usual
    if len(reference.days) >= DAYS_FOR_CALIBRATION:
        return days, weekdays, calibrate(days, weekdays)
    guessed = days if reference.days else whole
    return guessed, weekdays or [0], assumed(guessed)


def _have_no_weekday(reference: Reference) -> bool:
    """Whether days stand together, or windows that were served and are longer than a day."""
    served = reference.days[len(reference.days) - reference.serving_windows :]
    return reference.merged or any(window.end - window.start > A_DAY for window in served)


def _measured(
    reference: Reference, left_out: tuple[Trait, ...], windows: Sequence[WindowProfile]
) -> tuple[Measured, Measured]:
    """The statistics of all rows of the reference and then of its days, and those of the windows.

    Of a column that is left out only the missing values are followed.
    """
    names = {trait.column for trait in left_out}
    days = (reference.whole, *reference.days)
    parts = [
        _part(
            scale, [*days, *windows], reference.whole.columns[scale.column], only_nulls=scale.column in names
        )
        for scale in reference.scales
    ]
    whole = together(parts)
    return whole.part(slice(len(days))), whole.part(slice(len(days), None))


def _part(
    scale: ColumnScale, windows: Sequence[WindowProfile], pooled: ColumnProfile, *, only_nulls: bool
) -> Measured:
    profiles = [window.columns[scale.column] for window in windows]
    rows = [window.rows for window in windows]
    part = measure(scale, profiles, rows, np.array(pooled.counts, dtype=float))
    if not only_nulls:
        return part
    kept = [number for number, statistic in enumerate(part.statistics) if statistic.reason == "nulls"]
    return Measured(
        tuple(part.statistics[number] for number in kept), part.values[:, kept], part.variances[:, kept]
    )


def _weekdays(windows: Sequence[WindowProfile], *, merged: bool) -> list[int]:
    """Each window's weekday by its middle; merged days have none of their own."""
    return [0 if merged else (window.start + (window.end - window.start) / 2).weekday() for window in windows]


def _signals(found: Columns, reference: Reference, windows: Sequence[WindowProfile]) -> Iterable[Signal]:
    """One signal for each column and reason: that of the statistic that is off the most."""
    scales = {scale.column: scale for scale in reference.scales}
    levels = _levels(found)
    grouped: dict[tuple[str, str], list[int]] = {}
    for number, level in enumerate(levels):
        if level is not None:
            statistic = found.statistics[number]
            grouped.setdefault((statistic.column, statistic.reason), []).append(number)
    for (column, _), numbers in grouped.items():
        order = sorted(numbers, key=lambda number: (-RANKS[levels[number]], -abs(found.z[-1, number])))
        yield _signal(found, scales[column], order, levels[order[0]], reference, windows)


RANKS = {"alarm": 2, "suspicious": 1, "note": 0, None: -1}


def _levels(found: Columns) -> list[str | None]:
    """What each statistic gives rise to in the last window."""
    now = np.abs(np.nan_to_num(found.z[-1]))
    off, matters = now >= found.charts.thresholds, found.effects.matters[-1]
    nearly = found.charts.evidence[-1] >= NEARLY * found.charts.limit
    alarm = alarms(found)[-1]
    suspicious = (off & matters) | (_leads(found.charts)[-1] & nearly)
    return [
        "alarm" if alarm[number] else "suspicious" if suspicious[number] else "note" if off[number] else None
        for number in range(len(now))
    ]


def alarms(found: Columns) -> NDArray[np.bool_]:
    """Where a change is sure, for each window and statistic: by the fast chart, by the slow one (which the
    statistics with the most evidence answer for), because it is gross, or because many columns changed at
    once.
    """
    charts, sizes = found.charts, found.effects
    slow = _leads(charts) & (charts.evidence >= charts.limit)[:, None]
    far = np.abs(np.nan_to_num(found.z)) >= GROSS_TIMES * charts.thresholds
    broad = _columns_off(found.statistics, found.z, sizes, charts) >= found.broad
    off = (np.abs(np.nan_to_num(found.z)) >= charts.thresholds) & sizes.matters
    gross = far & (np.abs(sizes.size) >= GROSS_FLOORS * found.floors) & sizes.matters
    return np.asarray(charts.fast | slow | gross | (off & broad[:, None]))


def _columns_off(
    statistics: tuple[Statistic, ...], z: Floats, sizes: Effects, charts: Charts
) -> NDArray[np.int64]:
    """How many columns are off on each window."""
    off = (np.abs(np.nan_to_num(z)) >= charts.thresholds) & sizes.matters
    names = np.array([statistic.column for statistic in statistics])
    each = [off[:, names == name].any(axis=1) for name in dict.fromkeys(names)]
    return np.asarray(np.sum(each, axis=0))


def _broad(statistics: tuple[Statistic, ...], worst: int) -> int:
    """How many columns have to be off at once: more than on any day of the reference."""
    columns = len({statistic.column for statistic in statistics})
    return max(BROAD, -(-columns // 2), worst + 1)


def _leads(charts: Charts) -> NDArray[np.bool_]:
    """The statistics that most of a window's evidence is of."""
    own = charts.by_statistic
    return np.asarray((own > 0) & (own >= 0.5 * own.max(axis=1, initial=0)[:, None]))


def _signal(
    found: Columns,
    scale: ColumnScale,
    order: list[int],
    level: str | None,
    reference: Reference,
    windows: Sequence[WindowProfile],
) -> Signal:
    number = order[0]
    statistic = found.statistics[number]
    change = (
        units.changed_unit(scale, reference.whole.columns, windows[-1].columns) if level == "alarm" else None
    )
    broken = level == "alarm" and (
        change is not None or (statistic.reason == "nulls" and found.effects.size[-1, number] > 0)
    )
    reason = "unit_change" if change is not None else sentences.reason_of(statistic)
    return Signal(
        question="validity" if broken else "input",
        reason=reason,
        subject=statistic.column,
        level="incident" if broken else level,
        value=_finite(found.effects.size[-1, number]),
        threshold=_finite(found.floors[number]),
        unit=sentences.UNITS[statistic.unit],
        since=windows[_began(found, number)].start,
        why=sentences.tell(found, scale, order, reference, windows[-1], change),
    )


def _began(found: Columns, number: int) -> int:
    """The first of the windows in a row, up to the last one, that are off in the last one's direction."""
    side = np.sign(found.z[-1, number])
    off = side * np.nan_to_num(found.z[:, number]) >= 1
    first = len(off) - 1
    while first > 0 and off[first - 1]:
        first -= 1
    return first


def _finite(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _gravest_first(signal: Signal) -> tuple[int, float]:
    ranks = {"incident": 0, "alarm": 1, "suspicious": 2, "note": 3}
    return ranks[signal.level], -abs(signal.value or 0)
