"""Which rows of one table are in another, word for word."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def same_rows(rows: pa.Table, others: pa.Table, key: str, needed: tuple[str, ...]) -> Mask:
    """For each row whether `others` has one with its key and its values, shape (rows,).

    Columns that only one of the two has are not compared, because a query may name another one today; where
    one of `needed` is among them, no row is the same.

    Args:
        key: The column that tells the rows of each table apart.
    """
    if not {key, *needed} <= set(rows.column_names) & set(others.column_names):
        return np.zeros(len(rows), dtype=np.bool_)
    keys = rows[key].combine_chunks()
    known = others[key].combine_chunks()
    if keys.type != known.type:
        return np.zeros(len(rows), dtype=np.bool_)
    places = pc.index_in(keys, value_set=known)
    found = np.asarray(places.is_valid())
    mine, theirs = rows.filter(pa.array(found)), others.take(places.drop_null())
    same = np.ones(len(mine), dtype=np.bool_)
    for name in mine.column_names:
        if name in theirs.column_names:
            same &= _equal(mine[name].combine_chunks(), theirs[name].combine_chunks())
    found[found] = same
    return found


def _equal(own: pa.Array, other: pa.Array) -> Mask:
    """Value by value; two that are missing are equal, and so are two NaN."""
    if own.type != other.type:
        return np.zeros(len(own), dtype=np.bool_)
    if pa.types.is_nested(own.type):
        pairs = zip(own.to_pylist(), other.to_pylist(), strict=True)
        return np.fromiter((mine == its for mine, its in pairs), np.bool_, len(own))
    equal = pc.fill_null(pc.equal(own, other), fill_value=False)
    both_missing = pc.and_(own.is_null(nan_is_null=True), other.is_null(nan_is_null=True))
    return np.asarray(pc.or_(equal, both_missing))
