"""Rows of a file with the same key: copies of one row, or rows that contradict each other."""

from types import TracebackType
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from tasks.data.typed_values import Mask
from tasks.settings import settings
from tasks.stores.lake_sql import quote

MEMORY = "512MB"
POSITION = "position of the row"
APART = "what no other row has"

Positions = np.ndarray[Any, np.dtype[np.int64]]


class Compared(NamedTuple):
    """Positions of rows in the file, from 0, in order.

    Attributes:
        copies: Every row that is the same as an earlier one in all its values.
        contradicting: The rows of keys that are there with different values.
    """

    copies: Positions
    contradicting: Positions


class KeyComparison:
    """Compares rows that may have the same key; what does not fit into memory goes to the disk."""

    def __init__(self, key: str) -> None:
        self._key = key
        spill = {"memory_limit": MEMORY, "temp_directory": str(settings().home / "ingest.tmp")}
        self._session = duckdb.connect(config={"threads": 1, **spill})
        self._columns: list[str] = []

    def __enter__(self) -> "KeyComparison":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._session.close()

    def add(self, rows: pa.Table, positions: Positions, broken: Mask) -> None:
        """Add rows with their positions.

        `broken` ones are no copies of any row, because not all of their values are known.
        """
        own = {
            POSITION: pa.array(positions, pa.int64()),
            APART: pa.array(np.where(broken, positions, -1), pa.int64()),
        }
        named = dict(zip(rows.column_names, rows.columns, strict=True))
        self._session.register("more", pa.table({**named, **own}))
        how = "INSERT INTO rows" if self._columns else "CREATE TABLE rows AS"
        self._session.execute(f"{how} SELECT * FROM more")  # noqa: S608 - one of two texts
        self._columns = [*named, APART]

    def compare(self) -> Compared:
        """What became of the rows."""
        if not self._columns:
            return Compared(np.empty(0, np.int64), np.empty(0, np.int64))
        key, content = quote(self._key), ", ".join(map(quote, self._columns))
        place = quote(POSITION)
        found = self._session.sql(
            f"""
            WITH same AS (
                SELECT {place} AS place, {key} AS key, min({place}) OVER (PARTITION BY {content}) AS first
                FROM rows
            ), known AS (
                SELECT place, first, min(first) OVER of_key <> max(first) OVER of_key AS contradicts
                FROM same WINDOW of_key AS (PARTITION BY key)
            )
            SELECT place, contradicts FROM known WHERE contradicts OR place <> first ORDER BY place
            """  # noqa: S608 - quoted names
        ).to_arrow_table()
        places, contradicting = (np.asarray(found.column(name)) for name in ("place", "contradicts"))
        return Compared(places[~contradicting.astype(bool)], places[contradicting.astype(bool)])
