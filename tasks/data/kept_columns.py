"""Columns that an expectation has to see as a whole, kept while a file is looked through."""

import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.suites import Expectation


class Kept:
    """The columns of one expectation.

    Where it asks only for the different values, only those are kept; else all are, so that its memory grows
    with the file.
    """

    def __init__(self, expectation: Expectation) -> None:
        self._columns = list(expectation.columns)
        self._distinct = expectation.scope == "distinct"
        self._rows: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        chosen = rows.select(self._columns)
        if self._distinct:
            (name,) = self._columns
            seen = [table.column(name) for table in self._rows]
            values = pa.chunked_array(
                [chunk for column in [*seen, chosen.column(name)] for chunk in column.chunks]
            )
            self._rows = [pa.table({name: pc.unique(values)})]
        else:
            self._rows.append(chosen)

    def rows(self) -> pa.Table | None:
        """What was kept; None of no rows at all."""
        return pa.concat_tables(self._rows) if self._rows else None
