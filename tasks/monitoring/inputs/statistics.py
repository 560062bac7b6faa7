"""Turn profiles into numbers that can be followed over days: a few signed statistics of each column.

Each statistic has a known sampling variance, so that windows of 300 and of 300,000 rows can be compared, and
is signed, so that chance cancels over days while a change adds up. Numbers are seen through the normal scores
of the reference's bins (van der Waerden 1952): one outlier counts no more than the most extreme bin does.
Shares are seen on the arcsine scale, on which their variance does not depend on the share (Anscombe 1948).

Source of the scores: Hajek, Sidak and Sen, Theory of Rank Tests, 2nd edition, 1999, section 4.1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.contracts import ColumnProfile, ColumnScale

Floats = NDArray[np.float64]
Scale = Literal["deviations", "share"]

SHARES_FROM = 0.01
"""A value with a smaller share of the reference's rows is followed together with the others like it."""

MOST_SHARES = 20
COARSE_BINS = 10


@dataclass(frozen=True)
class Statistic:
    """What one statistic of a column says.

    Attributes:
        column: The column's name.
        reason: `location`, `spread`, `shares`, `nulls` or `new_values`.
        value: Of which value, or range of values, the share is; empty for the others.
        unit: `deviations`: standard deviations of the reference; `share`: a share of the rows, in [0, 1].
        of_range: Whether `value` is a range of a number.
    """

    column: str
    reason: str
    value: str
    unit: Scale
    of_range: bool = False


@dataclass(frozen=True)
class Measured:
    """The statistics of one column over windows.

    Attributes:
        statistics: What each column of the arrays is.
        values: windows x statistics; shares on the arcsine scale, NaN where a window has no row that counts.
        variances: The sampling variance of each of `values`.
    """

    statistics: tuple[Statistic, ...]
    values: Floats
    variances: Floats

    def part(self, windows: slice) -> "Measured":
        """Those of some of the windows."""
        return Measured(self.statistics, self.values[windows], self.variances[windows])


def measure(
    scale: ColumnScale, windows: Sequence[ColumnProfile], window_rows: Sequence[int], pooled: Floats
) -> Measured:
    """The statistics of a column in each of the windows.

    Args:
        window_rows: How many rows each window has.
        pooled: The counts of the reference on the column's scale: bins x 1.
    """
    counts = np.array([window.counts for window in windows], dtype=float).reshape(len(windows), -1)
    rows, nulls = np.array(window_rows, dtype=float), np.array([float(window.nulls) for window in windows])
    filled = rows - nulls
    parts = [_share(Statistic(scale.column, "nulls", "", "share"), nulls, rows)]
    if scale.kind == "number":
        parts += [*_scores(scale.column, counts, pooled)]
        parts += [*_bins(scale, counts, pooled)]
    elif scale.kind == "category":
        new = np.array([window.new for window in windows], dtype=float)
        parts += [_share(Statistic(scale.column, "new_values", "", "share"), new, filled)]
        parts += [*_values(scale, counts, filled, pooled)]
    return together(parts)


def together(parts: Iterable[Measured]) -> Measured:
    """Statistics of several columns side by side."""
    kept = list(parts)
    return Measured(
        tuple(statistic for part in kept for statistic in part.statistics),
        np.concatenate([part.values for part in kept], axis=1),
        np.concatenate([part.variances for part in kept], axis=1),
    )


def as_share(value: Floats) -> Floats:
    """Back from the arcsine scale."""
    return np.sin(np.clip(value, 0, np.pi) / 2) ** 2


def normal_scores(pooled: Floats) -> Floats:
    """The score of each bin: mean 0 and variance 1 over the reference; zeros where it is constant."""
    shares = pooled / pooled.sum()
    middle = np.cumsum(shares) - shares / 2
    scores = special.ndtri(np.clip(middle, 1e-4, 1 - 1e-4))
    scores = scores - (shares * scores).sum()
    deviation = np.sqrt((shares * scores**2).sum())
    return np.asarray(scores / deviation if deviation > 0 else np.zeros_like(scores))


def _scores(column: str, counts: Floats, pooled: Floats) -> Iterable[Measured]:
    """Where the column lies, and how far it spreads: half the relative change of its variance, which for a
    small change is the relative change of its standard deviation.
    """
    scores, shares, rows = normal_scores(pooled), pooled / pooled.sum(), _positive(counts.sum(axis=1))
    if not scores.any():
        return
    fourth = float((shares * scores**4).sum())
    location, square = (counts @ scores) / rows, (counts @ scores**2) / rows
    yield _one(Statistic(column, "location", "", "deviations"), location, 1 / rows)
    spread = (square - location**2 - 1) / 2
    yield _one(Statistic(column, "spread", "", "deviations"), spread, (fourth - 1) / 4 / rows)


def _bins(scale: ColumnScale, counts: Floats, pooled: Floats) -> Iterable[Measured]:
    """The share of each of at most `COARSE_BINS` ranges of values."""
    if np.count_nonzero(pooled) < 2:
        return
    edges = [*scale.edges, np.inf]
    for group in _groups(pooled / pooled.sum()):
        low = -np.inf if group[0] == 0 else edges[group[0] - 1]
        name = _range(low, edges[group[-1]], whole=_is_whole(scale))
        yield _share(
            Statistic(scale.column, "shares", name, "share", of_range=True),
            counts[:, group].sum(axis=1),
            counts.sum(axis=1),
        )


def _range(low: float, high: float, *, whole: bool) -> str:
    """The name of the values above `low` and up to `high`, for people."""
    if whole and high - low == 1:
        return f"{high:g}"
    above = "" if np.isinf(low) else f"above {low:g}"
    up_to = "" if np.isinf(high) else f"up to {high:g}"
    return " and ".join(part for part in (above, up_to) if part)


def _is_whole(scale: ColumnScale) -> bool:
    """Whether the reference has whole numbers alone, as its bins tell: each ends in one of its values, and
    there are no more values than whole numbers between the least and the largest.
    """
    least, most = scale.minimum, scale.maximum
    if least is None or most is None:
        return False
    return (
        all(value.is_integer() for value in (least, most, *scale.edges)) and scale.known <= most - least + 1
    )


def _groups(shares: Floats) -> list[list[int]]:
    """Neighbouring bins together, until each group has its tenth of the rows."""
    groups: list[list[int]] = []
    held = 1.0
    for number, share in enumerate(shares):
        if held >= 1 / COARSE_BINS - 1e-9 or not groups:
            groups.append([])
            held = 0.0
        groups[-1].append(number)
        held += float(share)
    return groups


def _values(scale: ColumnScale, counts: Floats, rows: Floats, pooled: Floats) -> Iterable[Measured]:
    shares = pooled / max(pooled.sum(), 1)
    for number in np.flatnonzero(shares >= SHARES_FROM)[:MOST_SHARES]:
        yield _share(
            Statistic(scale.column, "shares", scale.values[number], "share"), counts[:, number], rows
        )


def _share(statistic: Statistic, some: Floats, rows: Floats) -> Measured:
    """A share on the arcsine scale; Anscombe's 3/8 keeps the variance of small shares where it is."""
    kept = _positive(rows)
    share = np.clip((some + 3 / 8) / (kept + 3 / 4), 0, 1)
    return _one(statistic, 2 * np.arcsin(np.sqrt(share)), 1 / (kept + 0.5))


def _one(statistic: Statistic, values: Floats, variances: Floats) -> Measured:
    return Measured((statistic,), values[:, None], variances[:, None])


def _positive(rows: Floats) -> Floats:
    """No row gives no number."""
    return np.where(rows > 0, rows, np.nan)
