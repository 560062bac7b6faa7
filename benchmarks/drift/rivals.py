"""The policies beside ours, each by its own published rule, on counts of columns.

They are computed from counts instead of raw rows, so that years of 50,000 rows a day can be judged;
`drift_policy.py` compares the verdicts of Evidently's rule with Evidently's own on raw rows in the same run.

Sources: Evidently 0.7's defaults (docs.evidentlyai.com, data drift): above 1,000 rows of reference
Wasserstein distance in standard deviations and Jensen-Shannon distance, each drifted from 0.1 on, and half of
the columns for the dataset; NannyML's defaults (nannyml.readthedocs.io, univariate drift): Jensen-Shannon
distance of each column and chunk outside of three standard deviations around the mean of the reference's
chunks; PSI with the usual limit of 0.2 (Siddiqi 2006); Kolmogorov-Smirnov and chi-squared tests at 0.05,
divided by the number of columns (Rabanser et al. 2019).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Policy = Callable[[Sequence["Counted"], Sequence["Counted"]], Bools]

SMALL = 1e-4
TENTH = 0.1


@dataclass(frozen=True)
class Counted:
    """One column over days.

    Attributes:
        counts: days x bins, or days x values.
        places: Of a number the middle of each bin; None of a category.
    """

    counts: Floats
    places: Floats | None = None

    @property
    def pooled(self) -> Floats:
        """All days together."""
        return np.asarray(self.counts.sum(axis=0))


def evidently_default(known: Sequence[Counted], seen: Sequence[Counted]) -> Bools:
    """Half of the columns or more are drifted."""
    return np.asarray((_evidently(known, seen) >= TENTH).mean(axis=1) >= 0.5)


def evidently_any(known: Sequence[Counted], seen: Sequence[Counted]) -> Bools:
    """Any column is."""
    return np.asarray((_evidently(known, seen) >= TENTH).any(axis=1))


def psi(known: Sequence[Counted], seen: Sequence[Counted]) -> Bools:
    """Any column's population stability index is 0.2 or more."""
    found = [_psi(*_ten(own, known[number].pooled)) for number, own in enumerate(seen)]
    return np.asarray((np.array(found).T >= 0.2).any(axis=1))


def nannyml(known: Sequence[Counted], seen: Sequence[Counted]) -> Bools:
    """Any column's distance is above what the reference's chunks have."""
    found = []
    for before, now in zip(known, seen, strict=True):
        usual = _jensen_shannon(before.counts, before.pooled)
        found.append(_jensen_shannon(now.counts, before.pooled) > usual.mean() + 3 * usual.std())
    return np.asarray(np.array(found).any(axis=0))


def bonferroni(known: Sequence[Counted], seen: Sequence[Counted]) -> Bools:
    """Any column's test is below 0.05, divided by the number of columns."""
    found = [
        [(_chi_squared if now.places is None else _kolmogorov)(day, before.pooled) for day in now.counts]
        for before, now in zip(known, seen, strict=True)
    ]
    return np.asarray((np.array(found) < 0.05 / len(known)).any(axis=0))


POLICIES: dict[str, Policy] = {
    "Evidently, half of the columns": evidently_default,
    "Evidently, any column": evidently_any,
    "PSI 0.2": psi,
    "NannyML, 3 standard deviations": nannyml,
    "Bonferroni, 0.05": bonferroni,
}


def _evidently(known: Sequence[Counted], seen: Sequence[Counted]) -> Floats:
    """days x columns: the distance of each column."""
    pairs = zip(known, seen, strict=True)
    return np.array(
        [
            _jensen_shannon(now.counts, before.pooled)
            if now.places is None
            else _wasserstein(now.counts, before.pooled, now.places)
            for before, now in pairs
        ]
    ).T


def _wasserstein(counts: Floats, pooled: Floats, places: Floats) -> Floats:
    usual = pooled / pooled.sum()
    deviation = np.sqrt((usual * places**2).sum() - (usual * places).sum() ** 2) or 1.0
    gaps = np.abs(np.cumsum(_shares(counts) - usual, axis=1))[:, :-1]
    return np.asarray((gaps * np.diff(places)).sum(axis=1) / deviation)


def _ten(column: Counted, pooled: Floats) -> tuple[Floats, Floats]:
    """A number on about ten bins with as many rows of the reference each; a category as it is."""
    if column.places is None:
        return column.counts, pooled
    group = np.minimum((np.cumsum(pooled) - pooled / 2) / max(pooled.sum(), 1) * 10, 9).astype(int)
    sums = np.zeros((len(column.counts), 10)), np.zeros(10)
    for number in range(10):
        sums[0][:, number] = column.counts[:, group == number].sum(axis=1)
        sums[1][number] = pooled[group == number].sum()
    return sums


def _psi(counts: Floats, pooled: Floats) -> Floats:
    own, usual = np.maximum(_shares(counts), SMALL), np.maximum(pooled / pooled.sum(), SMALL)
    return np.asarray(((own - usual) * np.log(own / usual)).sum(axis=1))


def _jensen_shannon(counts: Floats, pooled: Floats) -> Floats:
    own, usual = _shares(counts), pooled / pooled.sum()
    middle = (own + usual) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(side > 0, side * np.log2(side / middle), 0).sum(axis=1) for side in (own, usual)]
    return np.asarray(np.sqrt(np.maximum((parts[0] + parts[1]) / 2, 0)))


def _shares(counts: Floats) -> Floats:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _kolmogorov(counts: Floats, pooled: Floats) -> float:
    """The asymptotic p-value of the two-sample test."""
    rows, known = max(counts.sum(), 1.0), pooled.sum()
    gap = np.abs(np.cumsum(counts) / rows - np.cumsum(pooled) / known).max()
    return float(stats.kstwobign.sf(gap * np.sqrt(rows * known / (rows + known))))


def _chi_squared(counts: Floats, pooled: Floats) -> float:
    kept = pooled + counts > 0
    if kept.sum() < 2 or counts.sum() == 0:
        return 1.0
    return float(stats.chi2_contingency(np.vstack([counts[kept], pooled[kept]])).pvalue)
