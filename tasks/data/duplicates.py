"""Find the values of a file that are there more than once, by eight bytes a row.

Hashes are kept in place of values, so that a file of any number of rows is looked through. Equal hashes are a
suspicion: whoever acts on single rows compares the values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.stores.lake_sql import new_session

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

PARTS = 16


class Hashed:
    """The hashes of some columns, row by row."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._batches: list[Hashes] = []

    def add(self, rows: pa.Table) -> None:
        """Remember rows; those that have no value at all in these columns are left out."""
        hashes = self.of(rows)
        self._batches.append(hashes[self._with_a_value(rows)])

    def of(self, rows: pa.Table) -> Hashes:
        """The hash of each row. Equal values have equal hashes."""
        listed = ", ".join('"' + name.replace('"', '""') + '"' for name in self.columns)
        with new_session() as session:
            session.register("rows", rows.select(list(self.columns)))
            found = session.sql(f"SELECT hash({listed}) AS hash FROM rows").to_arrow_table()  # noqa: S608
        return np.asarray(found.column("hash"), dtype=np.uint64)

    @property
    def rows(self) -> int:
        """How many rows are remembered."""
        return sum(map(len, self._batches))

    def seen_again(self) -> Hashes:
        """The hashes of more than one row, in order."""
        return np.concatenate([self._again(part) for part in range(PARTS)])

    def different(self) -> tuple[int, int]:
        """How many rows there are, and how many different ones."""
        parts = [np.unique(self._part(part)) for part in range(PARTS)]
        return self.rows, sum(map(len, parts))

    def _again(self, part: int) -> Hashes:
        hashes = np.sort(self._part(part))
        return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])

    def _part(self, part: int) -> Hashes:
        """The hashes that start with some bits: to sort all of them at once would take twice the memory."""
        shift = np.uint64(64 - PARTS.bit_length() + 1)
        chosen = [batch[(batch >> shift) == part] for batch in self._batches]
        return np.concatenate([np.empty(0, dtype=np.uint64), *chosen])

    def _with_a_value(self, rows: pa.Table) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        masks = [np.asarray(rows.column(name).is_valid(), dtype=np.bool_) for name in self.columns]
        return np.asarray(np.logical_or.reduce(masks), dtype=np.bool_)


def among(hashes: Hashes, wanted: Hashes) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Whether each hash is one of those that are wanted, which are in order."""
    if not len(wanted):
        return np.zeros(len(hashes), dtype=np.bool_)
    places = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
    return np.asarray(wanted[places] == hashes, dtype=np.bool_)
