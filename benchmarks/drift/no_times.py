"""Our policy where the snapshot's rows have no times, so that only what is served says how much days differ.

The snapshot is 90 simulated days, without borders. Each serving day is judged as the check does it, by
the reference of that day: uncalibrated, then with its first 20 quiet days, then 28. Beside it a reference
whose level moves with the first 28 quiet days, which is what *absorbs* a drift of those days.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift.ours import RATE, RULES, profiles, reference_of
from benchmarks.drift.years import Change, Days, draw
from tasks.contracts import Reference, WindowProfile
from tasks.monitoring.inputs.columns import alarms, look_at_columns
from tasks.monitoring.inputs.serving_weeks import STEPS, grown

Bools = NDArray[np.bool_]
Grows = Callable[[Reference, list[WindowProfile]], Reference | None]

KNOWN, EARLY, AFTER, YEAR = 90, 60, 120, 365


def growing(reference: Reference, quiet: list[WindowProfile]) -> Reference | None:
    """The check's own."""
    return grown(reference, quiet, {})


def absorbing(reference: Reference, quiet: list[WindowProfile]) -> Reference | None:
    """What is usual becomes what was served."""
    if reference.days or len(quiet) < STEPS[-1]:
        return None
    return reference.model_copy(update={"days": tuple(quiet)})


def staying(_reference: Reference, _quiet: list[WindowProfile]) -> Reference | None:
    """Never calibrated: what Perennial did before."""
    return None


POLICIES: dict[str, Grows] = {"serving weeks": growing, "moving level": absorbing, "uncalibrated": staying}


def judge(days: Days, grows: Grows) -> Bools:
    """The serving days on which the columns alarm."""
    reference = reference_of(days.part(slice(KNOWN))).model_copy(update={"days": ()})
    windows = profiles(days.part(slice(KNOWN, None)), first=KNOWN)
    found = np.zeros(len(windows), dtype=bool)
    quiet: list[WindowProfile] = []
    for day in range(len(windows)):
        newer = grows(reference, quiet)
        reference = newer or reference
        if len(quiet) >= STEPS[-1] or grows is staying:
            every = np.asarray(alarms(look_at_columns(reference, windows, RULES, RATE)).any(axis=1))
            found[day:] = every[day:]
            break
        signals = look_at_columns(reference, windows[: day + 1], RULES, RATE).signals
        levels = {signal.level for signal in signals}
        found[day] = bool(levels & {"alarm", "incident"})
        if not levels - {"note"}:
            quiet.append(windows[day])
    return found


def false_alarm_days(rows: int, seed: int, grows: Grows) -> Bools:
    """A year of serving in which nothing changes."""
    return judge(draw(KNOWN + YEAR, rows, seed), grows)


def changed_days(rows: int, change: Change, seed: int, grows: Grows, *, early: bool) -> Bools:
    """Serving days from the first changed one on.

    Args:
        early: Whether the change begins with the first serving day; else after `EARLY` days.
    """
    quiet = 0 if early else EARLY
    days = draw(KNOWN + quiet + AFTER, rows, seed, _later(change, quiet))
    return judge(days, grows)[quiet:]


def _later(change: Change, by: int) -> Change:
    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([np.full(by, values[0]), values])

    return Change(
        shifts={column: moved(values) for column, values in change.shifts.items()},
        shares={column: (value, moved(values)) for column, (value, values) in change.shares.items()},
        nulls={column: moved(values) for column, values in change.nulls.items()},
    )
