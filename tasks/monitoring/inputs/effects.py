"""Say how large a change is, in the units that people understand, and whether it matters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.monitoring.inputs.calibrate import Calibration
from tasks.monitoring.inputs.statistics import Measured, Statistic, as_share
from tasks.spec import MonitorSpec

Floats = NDArray[np.float64]

INDIFFERENT = 0.3
"""So much of its floor a statistic may be off without being evidence for the slow chart."""

SURE_OF_LEVEL = 2.0
"""And so many standard errors of what is usual: an error of it is the same on every day, and would add up."""

OF_RANGE = 2.0
"""So many times a share's floor is that of a range of numbers: its location says most of what matters."""

UNCALIBRATED_FLOOR = 2.5
"""So many times a floor is where nobody knows yet how much days differ."""


@dataclass(frozen=True)
class Effects:
    """windows x statistics each.

    Attributes:
        usual, seen: The level that was expected and the one that was there: shares, or standard deviations.
        size: Their difference.
        matters: Whether it reaches its floor.
        zone: Up to which size, in standard deviations of a day, a change is no evidence.
    """

    usual: Floats
    seen: Floats
    size: Floats
    matters: NDArray[np.bool_]
    zone: Floats


def effects(
    measured: Measured, off: Floats, weekdays: list[int], usual: Calibration, floors: Floats
) -> Effects:
    """The size of each change.

    Args:
        off: How far each window is off, on the statistics' own scale.
        floors: The smallest change that matters of each statistic, in its unit.
    """
    level = usual.level[np.asarray(weekdays)]
    shares = np.array([statistic.unit == "share" for statistic in measured.statistics])
    expected = np.where(shares, as_share(level), level)
    seen = np.where(shares, as_share(level + off), level + off)
    size = seen - expected
    deviation = np.sqrt(usual.between + usual.uncertain + measured.variances)
    zone = (INDIFFERENT * _on_scale(expected, floors, shares) + SURE_OF_LEVEL * np.sqrt(usual.uncertain)) / (
        deviation
    )
    return Effects(expected, seen, size, np.abs(size) >= floors, zone)


def floors_of(statistics: tuple[Statistic, ...], rules: MonitorSpec, *, calibrated: bool) -> Floats:
    """The smallest change that matters of each statistic.

    A column's own floor holds for what its type has a floor for: a number's location and spread, a category's
    shares.
    """
    return np.array([_floor(statistic, rules) for statistic in statistics]) * (
        1.0 if calibrated else UNCALIBRATED_FLOOR
    )


def _floor(statistic: Statistic, rules: MonitorSpec) -> float:
    own = rules.columns.get(statistic.column.partition(": ")[0])
    if own is not None and not own.watch:
        return float("inf")
    general = rules.share_floor if statistic.unit == "share" else rules.number_floor
    if statistic.of_range:
        general *= OF_RANGE
    # A number's floor is in standard deviations: the shares of its ranges keep the general one.
    of_number = statistic.unit == "deviations"
    of_category = statistic.reason in {"shares", "new_values"} and not statistic.of_range
    return own.floor if own and own.floor is not None and (of_number or of_category) else general


def _on_scale(expected: Floats, floors: Floats, shares: NDArray[np.bool_]) -> Floats:
    """A floor on the scale of its statistic; of a share the smaller of both directions."""
    finite = np.where(np.isfinite(floors), floors, 1.0)
    share = np.where(shares, np.clip(expected, 0, 1), 0.5)
    middle = 2 * np.arcsin(np.sqrt(share))
    up = 2 * np.arcsin(np.sqrt(np.clip(share + finite, 0, 1))) - middle
    return np.where(shares, up, finite)
