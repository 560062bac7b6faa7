"""Recognise a number whose unit was changed: its whole distribution is that of the reference, stretched.

Nobody's behaviour changes by exactly 1.609; a program that began to send kilometres does. So it is an
incident, and no reason to train.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import ColumnProfile, ColumnScale

Floats = NDArray[np.float64]

FACTORS: dict[float, str] = {
    1.609344: "miles and kilometres",
    2.204623: "kilograms and pounds",
    3.28084: "metres and feet",
    2.54: "inches and centimetres",
    12.0: "months and years",
    24.0: "hours and days",
    60.0: "minutes and hours, or seconds and minutes",
    100.0: "shares and percent, or cents and a currency",
    1000.0: "thousands",
    3600.0: "seconds and hours",
    1e6: "millions",
}
"""Ratios of units that programs confuse."""

FEWEST_BINS = 6
CLEARLY = 0.1
"""A smaller distance of the window to the reference is no change of unit."""

EXACTLY = 0.12
"""By so much, in logarithms, the likeliest factor may be off a unit's: what a window of 500 rows can tell."""

VAGUE = 0.3
"""Where the shape leaves so much room for the factor, in logarithms, it says less than the mean."""

LESS = 0.25
"""So much of the distance to the reference may be left once the change of unit is taken back."""


def changed_unit(
    scale: ColumnScale, reference: Mapping[str, ColumnProfile], window: Mapping[str, ColumnProfile]
) -> tuple[float, str] | None:
    """The factor, and between which units, where one explains the window; None where none does."""
    of_text, discrete = ": " in scale.column, scale.known <= len(scale.edges) + 1
    if scale.kind != "number" or of_text or discrete or len(scale.edges) < FEWEST_BINS:
        return None
    known = np.array(reference[scale.column].counts, dtype=float)
    seen = np.array(window[scale.column].counts, dtype=float)
    if min(known.sum(), seen.sum()) == 0:
        return None
    apart = {1.0: _distance(seen, known)}
    for factor in (*FACTORS, *(1 / factor for factor in FACTORS)):
        apart[factor] = _distance(seen, _stretched(scale, known, factor))
    if apart[1.0] < CLEARLY:
        return None
    grown = _growth(reference[scale.column], window[scale.column])
    explain = [each for each in apart if each != 1.0 and apart[each] <= LESS * apart[1.0]]
    # Where nearly all values are beyond one end of the scale, many factors explain it; the mean tells which.
    by_mean = np.isfinite(grown)
    best = min(explain, key=lambda each: abs(np.log(each / grown)) if by_mean else apart[each], default=None)
    if best is None or not _is_exact(best, _likeliest(scale, known, seen, best), grown):
        return None
    return best, FACTORS.get(best) or FACTORS[min(FACTORS, key=lambda factor: abs(factor * best - 1))]


def _is_exact(factor: float, by_shape: float | None, by_mean: float) -> bool:
    """Whether a factor is the one that the shape and the mean tell; one of them may be off by twice as much.

    Args:
        by_shape: None where the shape says too little.
    """
    mean = abs(np.log(factor / by_mean))
    if by_shape is None:
        return bool(mean <= EXACTLY)
    shape = abs(np.log(factor / by_shape))
    return bool(shape <= EXACTLY or (mean <= EXACTLY and shape <= 2 * EXACTLY))


def _growth(known: ColumnProfile, seen: ColumnProfile) -> float:
    """How many times the mean is that of the reference; NaN where one of them is not positive."""
    means = [(profile.total or 0.0) / sum(profile.counts) for profile in (seen, known)]
    return means[0] / means[1] if min(means) > 0 else np.nan


def _likeliest(scale: ColumnScale, known: Floats, seen: Floats, near: float) -> float | None:
    """Of all factors around this one, the one under which the window is nearest; None where it is about as
    near under many of them.

    Values that merely grew by a third are nearer to kilometres than to the reference.
    """
    around = near * np.exp(np.linspace(-0.5, 0.5, 101))
    distances = np.array([_distance(seen, _stretched(scale, known, float(factor))) for factor in around])
    # Distances of so many rows may differ by that much and mean the same.
    as_near = np.flatnonzero(distances <= distances.min() + 0.5 / np.sqrt(seen.sum()))
    vague = np.log(around[as_near[-1]] / around[as_near[0]]) > VAGUE
    return None if vague else float(around[int(np.argmin(distances))])


def _stretched(scale: ColumnScale, counts: Floats, factor: float) -> Floats:
    """What the reference's counts would be if all of its values were multiplied by the factor."""
    low = scale.minimum if scale.minimum is not None else scale.edges[0]
    high = scale.maximum if scale.maximum is not None else scale.edges[-1]
    places = np.array([min(low, scale.edges[0]), *scale.edges, max(high, scale.edges[-1])])
    below = np.concatenate([[0.0], np.cumsum(counts)])
    at_edges = np.interp(np.array(scale.edges) / factor, places, below)
    return np.diff(np.concatenate([[0.0], at_edges, [counts.sum()]]))


def _distance(seen: Floats, expected: Floats) -> float:
    """Kolmogorov and Smirnov's, of the bins."""
    return float(np.abs(np.cumsum(seen) / seen.sum() - np.cumsum(expected) / expected.sum()).max())
