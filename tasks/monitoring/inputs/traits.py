"""Recognise columns that cannot drift as others do, because of what they are."""

from dataclasses import dataclass

import numpy as np

from tasks.contracts import ColumnScale, Reference, WindowProfile

MOSTLY = 0.8
FEWEST_DAYS = 10
TREND = 0.9
IDENTIFYING = 0.9


@dataclass(frozen=True)
class Trait:
    """Why a column's values are not followed; what it misses still is.

    Attributes:
        column: Its name.
        why: A sentence for people.
    """

    column: str
    why: str


def traits(reference: Reference) -> tuple[Trait, ...]:
    """The columns of a reference whose values are not followed, and why."""
    found = ((scale, _trait(scale, reference)) for scale in reference.scales)
    return tuple(Trait(scale.column, why) for scale, why in found if why)


def _trait(scale: ColumnScale, reference: Reference) -> str:
    name, days = scale.column, reference.days
    if scale.kind == "time":
        return f"{name} is a time, and times always move on."
    if scale.kind == "category" and _share_of_values(name, reference.whole) > IDENTIFYING:
        return f"{name} has another value in nearly every row, so its shares say nothing."
    if len(days) < FEWEST_DAYS:
        return ""
    if _constant_within_days(name, days) and scale.known > 1:
        return f"{name} has one value a day on most days of the reference, as a date does."
    # What the champion served is judged: a drift that is slow enough must not become a trait.
    own = days[: len(days) - reference.serving_windows]
    if scale.kind == "number" and len(own) >= FEWEST_DAYS and _trends(scale, own):
        return f"{name} moved in one direction over the whole reference, as prices and counters do."
    return ""


def _share_of_values(name: str, whole: WindowProfile) -> float:
    profile = whole.columns[name]
    return profile.distinct / max(whole.rows - profile.nulls, 1)


def _constant_within_days(name: str, days: tuple[WindowProfile, ...]) -> bool:
    """Whether most days have one value, and not nearly always the same: a rare category is no date."""
    values = [day.columns[name].least for day in days if day.columns[name].distinct <= 1]
    if len(values) < MOSTLY * len(days):
        return False
    commonest = max(values.count(value) for value in set(values)) / len(values)
    return len(values) == len(days) or commonest < MOSTLY


def _trends(scale: ColumnScale, days: tuple[WindowProfile, ...]) -> bool:
    """Whether the days' means are in their order, and differ by more than the rows of all days do."""
    from scipy import stats

    means = [_mean(day, scale.column) for day in days]
    if not scale.deviation or np.ptp(means) < scale.deviation:
        return False
    return bool(abs(stats.spearmanr(means, range(len(means))).statistic) >= TREND)


def _mean(day: WindowProfile, name: str) -> float:
    profile = day.columns[name]
    return (profile.total or 0.0) / max(day.rows - profile.nulls, 1)
