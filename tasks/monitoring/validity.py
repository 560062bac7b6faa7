"""Is a window's data whole: enough of it, up to its end, not frozen, not repeated?

A window that is not is an incident: somebody has to mend what sends it, and no training answers that. Volume
is compared with the windows that were served before, each weekday with its own, since a training's days say
nothing of how often a service is asked.

A pure function of profiles, so it can be replayed.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import Reference, Signal, WindowProfile
from tasks.monitoring.inputs.calibrate import calibrate, standardise
from tasks.monitoring.inputs.charts import pair_thresholds
from tasks.monitoring.inputs.statistics import Measured, Statistic

WINDOWS_FOR_VOLUME = 14
MOST_WINDOWS = 90
TWICE = float(np.log(2.0)) - 0.05
"""A volume that halves or doubles, with a little for chance."""

GROSS = float(np.log(5.0))
FEWEST_ROWS = 30
USUALLY_DIFFERENT = 5
REPEATED_MORE = 0.2
SILENT_SHARE = 0.25
SILENT_TIMES = 3.0

Floats = NDArray[np.float64]


def look_at_validity(
    reference: Reference | None, windows: Sequence[WindowProfile], rate: float
) -> tuple[Signal, ...]:
    """What is wrong with the last window as a whole.

    Args:
        reference: The champion's; None where only volume and freshness can be judged.
        windows: In their order; the last is the one that is judged.
        rate: How many false alarms a window may give.
    """
    return tuple(
        signal
        for found in (
            _volume(windows, rate),
            _frozen(reference, windows),
            _repeated(reference, windows),
            _silent(windows),
        )
        for signal in found
    )


def _volume(windows: Sequence[WindowProfile], rate: float) -> Iterator[Signal]:
    """Whether the number of rows is off by half or twice on two of three windows, or far more on one."""
    history = windows[-MOST_WINDOWS - 3 : -3]
    if len(history) < WINDOWS_FOR_VOLUME:
        return
    weekdays = [_weekday(window) for window in (*history, *windows[-3:])]
    measured = _logarithms([*history, *windows[-3:]])
    known = Measured(measured.statistics, measured.values[:-3], measured.variances[:-3])
    usual = calibrate(known, weekdays[:-3])
    # What chance gives at the number that is usual: of no rows at all it would seem to be anything. Of a
    # handful it truly is, and logarithms say nothing of that.
    level = np.exp(usual.level[weekdays[-3:]])
    chance = np.where(level >= FEWEST_ROWS, 1 / (level + 0.5), measured.variances[-3:])
    seen = Measured(measured.statistics, measured.values[-3:], chance)
    z, off = (found[:, 0] for found in standardise(seen, weekdays[-3:], usual))
    threshold = float(pair_thresholds(usual, rate)[0])
    side = np.sign(z[-1])
    off_now = (side * z >= threshold) & (side * off >= TWICE)
    gross = side * off[-1] >= GROSS and side * z[-1] >= 2 * threshold
    if not off_now[-1]:
        return
    sure = gross or bool(off_now[:-1].any())
    expected = float(np.exp(usual.level[weekdays[-1], 0]))
    rows = windows[-1].rows
    yield Signal(
        question="validity",
        reason="volume_high" if side > 0 else "volume_low",
        subject="rows",
        level="incident" if sure else "suspicious",
        value=float(rows),
        threshold=round(expected * float(np.exp(side * TWICE)), 1),
        unit="predictions",
        since=windows[-1].start,
        why=f"The window has {rows} predictions, where about {expected:.0f} are usual on this weekday"
        + ("." if sure else "; one window is not enough to be sure."),
    )


def _logarithms(windows: Sequence[WindowProfile]) -> Measured:
    rows = np.array([window.rows for window in windows], dtype=float)
    statistic = Statistic("rows", "volume", "", "deviations")
    return Measured((statistic,), np.log(rows + 0.5)[:, None], (1 / (rows + 0.5))[:, None])


def _frozen(reference: Reference | None, windows: Sequence[WindowProfile]) -> Iterator[Signal]:
    """Whether a column has one value where it always had many, or all rows are those of the window before."""
    window = windows[-1]
    if window.rows < FEWEST_ROWS:
        return
    if len(windows) > 1 and _same_rows(windows[-2], window):
        yield _incident(
            "frozen",
            "rows",
            f"The window has the same {window.rows} rows as the one before it: the feed seems to be frozen.",
            window,
        )
    for name in _constant(reference, window) if reference else ():
        yield _incident(
            "frozen",
            name,
            f"{name} has one value in all {window.rows} rows, where each day of the reference has many: it "
            "seems to be frozen.",
            window,
        )


def _constant(reference: Reference, window: WindowProfile) -> Iterator[str]:
    """Columns with a single value, and none missing, that have many on every day of the reference."""
    days = _days(reference)
    for name, profile in window.columns.items():
        fewest = min(day.columns[name].distinct for day in days)
        if profile.distinct == 1 and profile.nulls == 0 and fewest >= USUALLY_DIFFERENT:
            yield name


def _days(reference: Reference | None) -> tuple[WindowProfile, ...]:
    return () if reference is None else reference.days or (reference.whole,)


def _same_rows(before: WindowProfile, window: WindowProfile) -> bool:
    return (before.rows, before.different_rows, before.columns) == (
        window.rows,
        window.different_rows,
        window.columns,
    )


def _repeated(reference: Reference | None, windows: Sequence[WindowProfile]) -> Iterator[Signal]:
    """Whether far more rows than usual are copies of another one in the window."""
    window = windows[-1]
    if window.rows < FEWEST_ROWS:
        return
    known = [*_days(reference), *windows[:-1]]
    copies = [_copies(one) for one in known if one.rows >= FEWEST_ROWS]
    if not copies or not window.columns:
        return
    usual = max(copies)
    if _copies(window) > usual + REPEATED_MORE:
        yield _incident(
            "repeated_rows",
            "rows",
            f"{_copies(window):.0%} of the window's rows are copies of another one, where no earlier window "
            f"or day had more than {usual:.0%}.",
            window,
            value=_copies(window),
            threshold=usual + REPEATED_MORE,
        )


def _copies(window: WindowProfile) -> float:
    return max(0.0, 1 - window.different_rows / max(window.rows, 1))


def _silent(windows: Sequence[WindowProfile]) -> Iterator[Signal]:
    """Whether nothing came for a long while before the window's end, longer than ever before."""
    known = [share for window in windows[:-1] if (share := _silence(window)) is not None]
    silence = _silence(windows[-1])
    if silence is None or len(known) < WINDOWS_FOR_VOLUME:
        return
    threshold = max(SILENT_SHARE, SILENT_TIMES * max(known))
    if silence > threshold:
        yield _incident(
            "stale",
            "rows",
            f"No prediction was asked for in the last {silence:.0%} of the window, where at most "
            f"{max(known):.0%} was usual: the feed seems to have stopped.",
            windows[-1],
            value=silence,
            threshold=threshold,
        )


def _silence(window: WindowProfile) -> float | None:
    """The share of the window after its last row; None without a row."""
    if window.last_at is None or window.rows == 0:
        return None
    return max(0.0, (window.end - window.last_at) / (window.end - window.start))


def _weekday(window: WindowProfile) -> int:
    return (window.start + (window.end - window.start) / 2).weekday()


def _incident(
    reason: str,
    subject: str,
    why: str,
    window: WindowProfile,
    value: float | None = None,
    threshold: float | None = None,
) -> Signal:
    return Signal(
        question="validity",
        reason=reason,
        subject=subject,
        level="incident",
        value=value,
        threshold=threshold,
        unit="" if value is None else "share",
        since=window.start,
        why=why,
    )
