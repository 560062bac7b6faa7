"""Which columns the rows of a file will have: the table's, and by its declared policy those that appear.

A column that the file lacks or adds is refused by default. A team may let a lacking one be null, and one that
is new be left out or join the table.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow as pa

from tasks.data.typed_values import TypedRows
from tasks.errors import DataRejected
from tasks.spec import ColumnType, TableSpec
from tasks.stores.lake import ARROW_TYPES

NAMES_TOLD = 20
NAME_CHARACTERS = 80

Kinds = Mapping[str, ColumnType]
Found = Callable[[str], ColumnType | None]
"""The type of a file's column; None for one that no column can hold."""


@dataclass(frozen=True)
class Layout:
    """The columns of a file's rows.

    Attributes:
        columns: All of them: the table's in its order, then those that the file adds to it.
        read: Those that the file has.
    """

    columns: dict[str, ColumnType]
    read: dict[str, ColumnType]

    def left_out(self, rows: pa.Table) -> pa.Table:
        """The columns of a file that do not join the table."""
        return rows.select([name for name in rows.column_names if name not in self.read])

    def complete(self, typed: TypedRows) -> TypedRows:
        """The rows with null in the columns that the file does not have."""
        if self.columns == self.read:
            return typed
        rows = {
            name: typed.rows.column(name)
            if name in self.read
            else pa.nulls(len(typed.rows), ARROW_TYPES[kind])
            for name, kind in self.columns.items()
        }
        whole = np.zeros(len(typed.rows), dtype=np.bool_)
        return TypedRows(pa.table(rows), {name: typed.broken.get(name, whole) for name in self.columns})


def layout_of(file: str, names: Sequence[str], table: TableSpec, grown: Kinds, kind_of: Found) -> Layout:
    """The layout of a file with columns of these names.

    Args:
        grown: Columns that the table has got from files before, which `table` does not declare.
        kind_of: The type of a column that is new to the table.

    Raises:
        DataRejected: The file lacks, adds or doubles a column, and the table's policy is to refuse that.
    """
    found = Counter(names)
    missing = [name for name in table.columns if name not in found]
    unknown = [name for name in found if name not in table.columns]
    refused = {
        "lacks": missing
        if table.missing_columns == "refuse"
        else [table.key]
        if table.key in missing
        else [],
        "adds": unknown if table.unknown_columns == "refuse" else [],
        "has twice": [name for name, count in found.items() if count > 1],
    }
    if any(refused.values()):
        raise DataRejected(
            _mismatch(file, table, refused),
            **{key.partition(" ")[0]: names for key, names in refused.items()},
        )
    added = _new_kinds(file, unknown, table, grown, kind_of) if table.unknown_columns == "add" else {}
    read = {name: kind for name, kind in table.columns.items() if name in found}
    return Layout({**table.columns, **added}, {**read, **added})


def _new_kinds(
    file: str, unknown: Sequence[str], table: TableSpec, grown: Kinds, kind_of: Found
) -> dict[str, ColumnType]:
    """The types of columns that join the table; one that joined before has its type already."""
    kinds: dict[str, ColumnType] = {}
    new = set(unknown)
    others = [name for name in grown if name not in new]
    taken = {name.lower() for name in (*table.columns, *others, "ingested_at", "batch_id")}
    refused = []
    for name in unknown:
        kind = grown.get(name) or kind_of(name)
        if kind is None or not name.isidentifier() or name.lower() in taken:
            refused.append(name)
        else:
            kinds[name] = kind
        taken.add(name.lower())
    if refused:
        raise DataRejected(
            f"{file} adds the columns {_told(refused)}, which cannot join the table {table.table!r}: a "
            "column is named by letters, digits and underscores, in another way than those that are there, "
            f"and holds plain values.{_meant(refused, [*table.columns, *others])} Correct the file."
        )
    return kinds


def _mismatch(file: str, table: TableSpec, refused: Mapping[str, Sequence[str]]) -> str:
    faults = " and ".join(f"{fault} {_told(names)}" for fault, names in refused.items() if names)
    return (
        f"{file} does not have the columns of the table {table.table!r}: it {faults}. Expected are "
        f"{_told(list(table.columns))}.{_meant(refused['adds'], refused['lacks'])} {_remedy(table, refused)}"
    )


def _meant(names: Sequence[str], expected: Sequence[str]) -> str:
    """Which of the expected columns those of other names may be."""
    lower = {name.strip().lower(): name for name in expected}
    pairs = [
        (name, lower[near])
        for name in names[:NAMES_TOLD]
        for near in get_close_matches(name.strip().lower(), lower, n=1, cutoff=0.75)
    ]
    return "".join(f" {_short(name)!r}: do you mean {_short(meant)!r}?" for name, meant in pairs)


def _remedy(table: TableSpec, refused: Mapping[str, Sequence[str]]) -> str:
    """What to do: there is no policy for a column that is there twice, or for a key that is not there."""
    policies = []
    if refused["lacks"] and table.key not in refused["lacks"]:
        policies.append("missing_columns: ignore")
    if refused["adds"]:
        policies.append("unknown_columns: ignore (or add)")
    if not policies or refused["has twice"] or table.key in refused["lacks"]:
        return "Correct the file."
    return f"Correct the file, or declare {' and '.join(policies)} for the table in pipeline.yaml."


def _told(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
    return f"{[_short(name) for name in names[:NAMES_TOLD]]}{more}"


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else f"{name[:NAME_CHARACTERS]}…"
