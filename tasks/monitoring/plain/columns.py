"""Has a column changed between the rows of a reference and those of a file?

Two questions, and only a change that is both counts: is it certain, against how much the column varies within
the reference itself, and is it large enough to matter. Rows that follow each other are alike, one day is not
like the next, and one month has another weather: so the reference is parted into blocks (its files, or pieces
that follow each other), and the variance between them is added to that of the sample.

Sources: DerSimonian and Laird, Control. Clin. Trials 7:177 (1986), by `next_batch`; Holm, Scand. J. Stat.
    6:65 (1979); Wasserstein distance as effect: Rabanser et al., Failing Loudly, NeurIPS 2019.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tasks.monitoring.labels.next_batch import FEWEST_BATCHES, NextBatch, expected
from tasks.monitoring.plain.roles import Role

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
Reason = Literal["location", "categories", "new_category", "nulls"]

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The quantiles of the reference below which the shares of rows are compared."""
TOLD_APART = 20
"""So many categories are compared one by one, the others as one."""
CLASSES = 20
"""A label of whole numbers has at most so many classes, else it is a number."""
ODDS, RARE_FLOOR = 2.0, 0.03
"""A label whose odds have changed so many times, and by so much of the rows, has changed."""
MOST_KNOWN = 200
"""Of a column with more categories new ones come every day."""
FEWEST_FOR_NEW = 200
FEW_SAMPLED = 20_000
FEWEST_TO_HALVE = 60
PIECES = 8
"""Into about so many the rows with a value are parted where they lie in a few blocks alone."""
SEED = 0
STRAYS = 0.005
"""At each end of the reference's numbers so many are drawn to the limit: one slip must not be the scale."""
BEYOND = 5.0
"""Standard deviations beyond these limits to which the file's numbers are drawn."""
WIDER = 1.25
"""A change has to be so much larger than what the files of the reference differ among themselves."""
ONWARD = 2.0
"""The next file lies twice as far from the reference as one half of it from the other: a season that moves on
takes its columns as much farther.
"""

FLOORS: Mapping[Reason, float] = {"location": 0.2, "categories": 0.1, "new_category": 0.04, "nulls": 0.05}
"""Standard deviations of the reference; shares of the rows."""
MONEY_FLOOR = 0.35
"""Prices rise by nature."""
UNITS: Mapping[Reason, str] = {
    "location": "standard deviations",
    "categories": "share of the rows",
    "new_category": "share of the rows",
    "nulls": "share of the rows",
}


@dataclass(frozen=True)
class Change:
    """How one column differs.

    Attributes:
        effect: In the unit of its reason.
        floor: What the effect has to exceed to matter.
        p_value: Of no change, corrected for what was compared in the column; None where too little of the
            reference has a value to tell.
        told: A part of a sentence: what is other now.
    """

    column: str
    reason: Reason
    effect: float
    floor: float
    p_value: float | None
    told: str


@dataclass(frozen=True)
class Sides:
    """One column of both sides.

    Attributes:
        reference, current: The values, missing ones too.
        blocks: For each row of the reference the number of its block.
        files: For each row of the reference the number of its file.
        in_time: Whether the rows of the reference follow each other in time.
    """

    reference: pd.Series
    current: pd.Series
    blocks: Codes
    files: Codes
    in_time: bool = False

    def where_known(self) -> "Sides":
        """The rows that have a value."""
        held, known = self.reference.notna().to_numpy(), self.current.notna().to_numpy()
        return replace(
            self,
            reference=self.reference[held],
            current=self.current[known],
            blocks=self.blocks[held],
            files=self.files[held],
        )


def changes_of(name: str, role: Role, sides: Sides) -> list[Change]:
    """How a column differs, one change for each way in which it can."""
    nulls = _nulls(name, sides)
    given = sides.where_known()
    if not len(given.current) or not len(given.reference):
        return [nulls]
    is_number = role in {"number", "money"}
    return [nulls, *(_numbers(name, role, given) if is_number else _categories(name, given))]


def certain(changes: Sequence[Change], level: float) -> list[bool]:
    """Which changes are no chance; that one of them is has the probability `level` (Holm)."""
    tested = {place: change.p_value for place, change in enumerate(changes) if change.p_value is not None}
    found, left = [False] * len(changes), len(tested)
    for place in sorted(tested, key=tested.__getitem__):
        if not tested[place] <= level / left:
            break
        found[place], left = True, left - 1
    return found


def change_of_label(name: str, role: Role, sides: Sides) -> Change:
    """How a label differs; a rare one has changed where its odds have, by however few rows."""
    given = sides.where_known()
    if role == "number":
        return _numbers(name, role, given)[0]
    change = _categories(name, given)[0]
    shares = [as_categories(side).value_counts(normalize=True) for side in (given.reference, given.current)]
    odds = pd.concat([share.clip(1e-6, 1 - 1e-6) for share in shares], axis=1).fillna(1e-6)
    odds = odds[odds.max(axis=1) >= RARE_FLOOR]
    shown = odds.to_numpy(dtype=float)
    log_odds = np.log(shown / (1 - shown))
    changed = bool(len(odds)) and float(np.abs(log_odds[:, 0] - log_odds[:, 1]).max()) > np.log(ODDS)
    return replace(change, floor=min(change.floor, RARE_FLOOR)) if changed else change


def _nulls(name: str, sides: Sides) -> Change:
    own, other = (
        side.isna().to_numpy().astype(np.float64)[:, None] for side in (sides.reference, sides.current)
    )
    before, now = float(own.mean()), float(other.mean())
    floor = _floor(FLOORS["nulls"], lambda part: _shares_apart(own, part), sides)
    told = f"{now:.1%} of the values are missing, {before:.1%} in the reference"
    return Change(name, "nulls", abs(now - before), floor, p_value(own, other, sides.blocks), told)


def _numbers(name: str, role: Role, sides: Sides) -> list[Change]:
    own, other = (side.to_numpy(dtype=float) for side in (sides.reference, sides.current))
    low, high = np.quantile(own, [STRAYS, 1 - STRAYS])
    drawn = np.clip(own, low, high)
    scale = float(drawn.std()) or float(own.std()) or 1.0
    own, other = (np.clip(side, low - BEYOND * scale, high + BEYOND * scale) / scale for side in (own, other))
    effect = _apart(own, other)
    least = MONEY_FLOOR if role == "money" else FLOORS["location"]
    floor = _floor(least, lambda part: _apart(own[part], own[~part]), sides)
    edges = np.quantile(own, SHARES)
    rows = [np.column_stack([side, *(side <= edge for edge in edges)]) for side in (own, other)]
    before, now = (float(np.mean(side) * scale) for side in (own, other))
    middle, middle_now = (float(np.median(side) * scale) for side in (own, other))
    told = f"the mean is {now:.4g}, {before:.4g} in the reference (median {middle_now:.4g}, {middle:.4g})"
    return [Change(name, "location", effect, floor, p_value(rows[0], rows[1], sides.blocks), told)]


def _apart(one: Numbers, other: Numbers) -> float:
    """The Wasserstein distance of at most so many values of each."""
    if not len(one) or not len(other):
        return 0.0
    return float(stats.wasserstein_distance(_sampled(one), _sampled(other)))


def _sampled(values: Numbers) -> Numbers:
    if len(values) <= FEW_SAMPLED:
        return values
    return values[np.linspace(0, len(values) - 1, FEW_SAMPLED).astype(np.int64)]


def _floor(least: float, apart: Callable[[NDArray[np.bool_]], float], sides: Sides) -> float:
    """What a change has to exceed: it is larger than what the reference's own files differ, or its halves.

    Args:
        apart: How far the chosen rows of the reference are from its others.
    """
    named = np.unique(sides.files)
    if len(named) > 1:
        return max(least, WIDER * max(apart(sides.files == file) for file in named))
    if not sides.in_time or len(sides.files) < FEWEST_TO_HALVE:
        return least
    first = np.arange(len(sides.files)) < len(sides.files) // 2
    by_chance = apart(np.random.default_rng(SEED).permutation(first))
    return max(least, WIDER * ONWARD * (apart(first) - by_chance))


def _shares_apart(rows: Numbers, part: NDArray[np.bool_]) -> float:
    """Half of the sum of all differences, or the difference where there is but one share."""
    half = 0.5 if rows.shape[1] > 1 else 1.0
    return half * float(np.abs(rows[part].mean(axis=0) - rows[~part].mean(axis=0)).sum())


def _categories(name: str, sides: Sides) -> list[Change]:
    own, other = as_categories(sides.reference), as_categories(sides.current)
    counts = own.value_counts()
    kept = list(counts.index[:TOLD_APART])
    rows = [_one_hot(side, kept) for side in (own, other)]
    shares = [side.mean(axis=0) for side in rows]
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    floor = _floor(FLOORS["categories"], lambda part: _shares_apart(rows[0], part), sides)
    p_changed = p_value(rows[0], rows[1], sides.blocks)
    found = [Change(name, "categories", effect, floor, p_changed, _told_shares(kept, shares))]
    if len(counts) <= MOST_KNOWN and len(own) >= FEWEST_FOR_NEW:
        is_new = ~other.isin(counts.index).to_numpy()
        share = float(is_new.mean())
        before = np.zeros((len(own), 1))
        listed = ", ".join(repr(str(value)[:40]) for value in other[is_new].value_counts().index[:3])
        told = f"{share:.1%} of the values are ones that the reference does not have, such as {listed}"
        p_new = p_value(before, is_new[:, None].astype(float), sides.blocks)
        found.append(Change(name, "new_category", share, FLOORS["new_category"], p_new, told))
    return found


def _told_shares(kept: Sequence[str], shares: Sequence[Numbers]) -> str:
    """The category whose share has changed most."""
    most = int(np.argmax(np.abs(shares[1] - shares[0])))
    named = repr(str(kept[most])[:40]) if most < len(kept) else "a rarer or new value"
    return f"{named} has {shares[1][most]:.1%} of the rows, {shares[0][most]:.1%} in the reference"


def as_categories(values: pd.Series) -> pd.Series:
    """Categories by one name each: a code is the same whether it was read as 1 or as 1.0."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype(int).astype(str)
    if pd.api.types.is_numeric_dtype(values):
        different = {value: f"{value:.12g}" for value in values.unique()}
        return values.map(different)
    return values.astype(str).str.strip()


def _one_hot(values: pd.Series, kept: Sequence[str]) -> Numbers:
    codes = pd.Categorical(values, categories=pd.Index(kept)).codes.astype(np.int64)
    found = np.zeros((len(codes), len(kept) + 1))
    found[np.arange(len(codes)), np.where(codes < 0, len(kept), codes)] = 1
    return found


def p_value(own: Numbers, other: Numbers, blocks: Codes) -> float | None:
    """The probability of no change in any of the means, each against its variance within and between blocks,
    by Bonferroni; None where the blocks are too few to know how much they differ.
    """
    numbers = numbered(blocks)
    sizes = np.bincount(numbers).astype(float)
    found = [_p_of_mean(own[:, place], other[:, place], numbers, sizes) for place in range(own.shape[1])]
    smallest = float(np.min(found)) * len(found)
    return None if np.isnan(smallest) else min(1.0, smallest)


def numbered(blocks: Codes) -> Codes:
    """The blocks that have rows, numbered on; where so few are left that nobody knows how much they differ,
    each is parted into pieces of rows that follow each other.
    """
    named, numbers = np.unique(blocks, return_inverse=True)
    if len(named) >= FEWEST_BATCHES:
        return numbers
    pieces = -(-PIECES // max(len(named), 1))
    place = pd.Series(numbers).groupby(numbers).cumcount().to_numpy()
    piece = place * pieces // np.bincount(numbers)[numbers]
    return np.unique(numbers * pieces + piece, return_inverse=True)[1]


def _p_of_mean(own: Numbers, now: Numbers, blocks: Codes, sizes: Numbers) -> float:
    """NaN where the blocks are too few."""
    usual = _usual(own, blocks, sizes)
    if usual is None:
        return np.nan
    error = usual.error(_variance(now, own) / len(now), len(now))
    degrees = usual.degrees if usual.between > 0 else max(len(now) + len(own) - 2, 1)
    return 2 * float(stats.t.sf(abs(float(now.mean()) - usual.center) / error, degrees))


def _usual(values: Numbers, blocks: Codes, sizes: Numbers) -> NextBatch | None:
    means = np.bincount(blocks, weights=values) / sizes
    variance = _variance(values, values)
    return expected(means, variance / sizes, sizes)


def _variance(values: Numbers, others: Numbers) -> float:
    """Of a value; never 0, for what did not happen in so many rows may happen in the next."""
    least = 1 / (4 * (min(len(values), len(others)) + 2))
    return float(max(float(values.var()), float(others.var()), least))
