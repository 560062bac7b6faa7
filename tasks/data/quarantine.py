"""Rows that may not join their table, and the quarantine table that keeps them with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tasks.spec import ColumnType
from tasks.stores.lake import arrow_schema

COLUMNS: dict[str, ColumnType] = {
    "row": "string",
    "file": "string",
    "row_number": "int64",
    "expectation": "string",
    "reason": "string",
}
"""The columns of a quarantine table: `BrokenRow` and the file that it was in."""


@dataclass(frozen=True)
class BrokenRow:
    """A row that may not join its table.

    Attributes:
        number: Its place in the file, from 1: the line of JSON lines, the row below the header of CSV, the
            row of Parquet.
        row: What was landed, as JSON.
        expectation: What it broke; several are joined by a comma.
        reason: A sentence.
    """

    number: int
    row: str
    expectation: str
    reason: str


def name_of(table: str) -> str:
    """The quarantine table of a table."""
    return f"{table}__quarantine"


def as_table(file: str, broken: Sequence[BrokenRow]) -> pa.Table:
    """Broken rows of a file as rows of its quarantine table."""
    return pa.table(
        {
            "row": [row.row for row in broken],
            "file": [file] * len(broken),
            "row_number": [row.number for row in broken],
            "expectation": [row.expectation for row in broken],
            "reason": [row.reason for row in broken],
        },
        schema=arrow_schema(COLUMNS),
    )
