"""Find requests that say nearly the same, and those that differ in one field only."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.contracts import CrowdSize
from tasks.data.door.measures import MOST_CHARACTERS
from tasks.data.duplicates import Hashed
from tasks.data.near_duplicates import groups_of

BLOCKS = (100, 300, 1000, 3000, 10_000)
MOST_BLOCKS = 10
"""So many blocks of a size are looked at."""
DIGITS = re.compile(r"\d+")

GOLDEN, MIX = 0x9E3779B97F4A7C15, np.uint64(0xBF58476D1CE4E5B9)
BITS = 2**64

Counts = NDArray[np.int64]
Hashes = NDArray[np.uint64]


def alike(
    rows: pa.Table, features: Sequence[str], texts: Sequence[str], edges: Mapping[str, Sequence[float]]
) -> Counts:
    """For each row the number of its group, shape (rows,): rows of one group say nearly the same.

    Numbers count as the same between two of the edges, and digits in a text as one: a counter makes no
    other text.
    """
    coarse = rows.select(list(features))
    for name in features:
        if name in texts:
            said = [DIGITS.sub("0", (text or "")[:MOST_CHARACTERS]) for text in rows[name].to_pylist()]
            coarse = _with(coarse, name, pa.array(said, pa.string()))
        elif name in edges:
            values = pc.cast(rows[name], pa.float64(), safe=False).to_numpy()
            coarse = _with(coarse, name, pa.array(np.searchsorted(np.array(edges[name]), values)))
    return groups_of(coarse, features, texts)


def sizes_of(groups: Counts) -> Counts:
    """For each row how many rows are in its group."""
    return np.bincount(groups)[groups] if len(groups) else groups


def field_hashes(rows: pa.Table, features: Sequence[str]) -> Hashes:
    """A number for each value, shape (rows, features); the same value in another field has another one."""
    hashes = np.zeros((len(rows), len(features)), dtype=np.uint64)
    for place, name in enumerate(features):
        hashes[:, place] = _salted(Hashed([name]).of(rows.select([name])), place)
    return hashes


def one_field_apart(hashes: Hashes) -> Counts:
    """For each row in how many values of one field the rows differ that are equal to it in all others.

    The field is the one with the most such values. With a single feature every row differs in one field
    only, which says nothing: 0.

    Args:
        hashes: Of `field_hashes`.
    """
    rows, features = hashes.shape
    found = np.zeros(rows, dtype=np.int64)
    if features < 2 or not rows:
        return found
    # The hash of a row is the sum of its fields', so that one of them can be taken out again.
    whole = hashes.sum(axis=1, dtype=np.uint64)
    for own in hashes.T:
        _, others = np.unique(whole - own, return_inverse=True)
        pairs = np.unique(np.column_stack([others.astype(np.uint64), own]), axis=0)
        found = np.maximum(found, np.bincount(pairs[:, 0].astype(np.int64))[others])
    return found


def largest_in_blocks(groups_or_values: Sequence[Counts]) -> int:
    """The largest number of several blocks."""
    return max((int(values.max(initial=0)) for values in groups_or_values), default=0)


def ordinary(sizes: Sequence[CrowdSize], rows: int) -> float:
    """How many of so many rows say the same in the reference, as far as it was looked at.

    Between two sizes of blocks the larger one counts; beyond the largest, in proportion.
    """
    if not sizes:
        return 0.0
    large_enough = next((size for size in sizes if size.rows >= rows), None)
    if large_enough is not None:
        return float(large_enough.largest)
    return sizes[-1].largest * rows / sizes[-1].rows


def _salted(hashes: Hashes, place: int) -> Hashes:
    """Other numbers for the same value in another field (the last step of splitmix64)."""
    mixed = hashes + np.uint64(GOLDEN * (place + 1) % BITS)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * MIX
    return np.asarray(mixed ^ (mixed >> np.uint64(27)), dtype=np.uint64)


def _with(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)
