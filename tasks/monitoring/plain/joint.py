"""Can a classifier tell the file's rows from the reference's, where no single column need have changed?

By the domain classifier of the drift check. Rows of one year are not like those of its other half: where the
reference has parts that a classifier tells apart, a file has to be told apart better than they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tasks.monitoring.domain_classifier import Kind, Separation, distinct, sample, separate
from tasks.spec import FEWEST_ROWS

MOST_ROWS = 2000
FALSE_ALARM_SHARE = 0.001
AUC_FLOOR = 0.65
TEXT_AUC_FLOOR = 0.62
BEYOND_OWN = 0.05
"""By so much the AUC has to exceed that between parts of the reference."""
PARTS = 4
"""So many parts of the reference, at most, are held against the others."""


@dataclass(frozen=True)
class Joint:
    """Attributes:
    columns: What the classifier saw.
    own_auc: The largest AUC between parts of the reference; 0.5 where it was not asked for.
    onward: So many times farther than these parts from each other is an ordinary file from the reference.
    """

    columns: tuple[str, ...]
    separation: Separation
    floor: float
    own_auc: float
    onward: float

    @property
    def threshold(self) -> float:
        farther = float(stats.norm.cdf(self.onward * stats.norm.ppf(self.own_auc)))
        own = farther + BEYOND_OWN if self.own_auc > 0.5 else 0.5
        return float(np.nanmax([self.floor, self.separation.null_auc, min(own, 0.99)]))

    @property
    def is_apart(self) -> bool:
        return self.separation.auc > self.threshold


def tell_apart(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    kinds: Mapping[str, Kind],
    parts: NDArray[np.int64],
    onward: float = 1.0,
) -> Joint:
    """Train the classifier on both sides.

    Args:
        kinds: The columns that it sees.
        parts: For each row of the reference the number of a part of it: its file, or its half.
        onward: 2 where these are halves in the order of time: the file's rows are as far again from either.
    """
    names = list(kinds)
    floor = TEXT_AUC_FLOOR if set(kinds.values()) == {"text"} else AUC_FLOOR
    found = _separate(current[names], reference[names], kinds, floor)
    own = 0.5
    if found.auc > floor and found.auc > found.null_auc:
        filled = {name: kind for name, kind in kinds.items() if current[name].notna().any()}
        own = max((_own_auc(reference, kinds, filled, parts == part) for part in _spread(parts)), default=0.5)
    return Joint(tuple(names), found, floor, own, onward)


def _spread(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of the parts; of two, the second is as far from the first as the first from the second."""
    named = np.unique(parts)
    if len(named) <= 2:
        return named[: len(named) - 1]
    return named[np.unique(np.linspace(0, len(named) - 1, PARTS).astype(np.int64))]


def _own_auc(
    reference: pd.DataFrame, kinds: Mapping[str, Kind], filled: Mapping[str, Kind], part: NDArray[np.bool_]
) -> float:
    """How well one part of the reference is told from the others.

    Args:
        filled: The columns that have values in the file: where a part has none of them, this alone would tell
            it apart, and say nothing of how its values differ.
    """
    sides = reference[part], reference[~part]
    lacking = {name for name in filled if not all(side[name].notna().any() for side in sides)}
    seen = {name: kind for name, kind in kinds.items() if name not in lacking}
    if not seen:
        return 0.5
    found = _separate(sides[0][list(seen)], sides[1][list(seen)], seen, 1.0)
    return 0.5 if np.isnan(found.auc) else found.auc


def _separate(
    own: pd.DataFrame, other: pd.DataFrame, kinds: Mapping[str, Kind], only_above: float
) -> Separation:
    sides = [sample(distinct(side, kinds), MOST_ROWS) for side in (own, other)]
    if min(map(len, sides)) < FEWEST_ROWS:
        return Separation(np.nan, np.nan, *map(len, sides))
    window, others = sides
    return separate(window, others, kinds, FALSE_ALARM_SHARE, only_above=only_above)
