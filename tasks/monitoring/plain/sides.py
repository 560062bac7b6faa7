"""The rows of a reference and of a file side by side: common columns, in the order of time, in blocks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.data.plain_rows import PlainRows
from tasks.monitoring.plain.columns import Sides
from tasks.monitoring.plain.roles import CALENDAR
from tasks.spec import ColumnType

Codes = NDArray[np.int64]

MOST_ROWS = 100_000
"""Of each side so many rows are compared; more hardly move what is found."""
PIECES = 50
"""So many pieces of rows that follow each other are taken of more."""
MOST_BLOCKS = 30
FEWEST_BLOCKS = 8
BLOCK_ROWS = 100
ENOUGH_FILES = 8
"""From so many on the files of the reference are its blocks."""
NUMBERS: frozenset[ColumnType] = frozenset({"int64", "float64"})
TIMES: frozenset[ColumnType] = frozenset({"timestamp", "date"})
BLANK = re.compile(r"^\s*$")
SEED = 0


@dataclass(frozen=True)
class Pair:
    """Both sides.

    Attributes:
        kinds: The type of each column that both have.
        blocks, files: For each row of the reference the number of its block and of its file.
        in_time: Whether the rows of the reference follow each other in time.
        only_reference, only_current: Columns that one side alone has.
        other_types: Columns that are of types that cannot be compared, as the part of a sentence.
        rows, reference_rows: How many rows the files hold; those that are compared may be fewer.
    """

    reference: pd.DataFrame
    current: pd.DataFrame
    kinds: dict[str, ColumnType]
    blocks: Codes
    files: Codes
    in_time: bool
    only_reference: tuple[str, ...]
    only_current: tuple[str, ...]
    other_types: dict[str, str]
    reference_rows: int
    rows: int

    def of(self, column: str) -> Sides:
        """One column of both."""
        return Sides(self.reference[column], self.current[column], self.blocks, self.files, self.in_time)


def pair(references: Sequence[PlainRows], current: PlainRows) -> Pair:
    """Put the files side by side."""
    kinds, other_types = common_kinds(references, current)
    first = references[0].kinds
    tables = [_in_time(each.rows.select(list(kinds)), each.kinds) for each in references]
    share = min(1.0, MOST_ROWS / max(sum(map(len, tables)), 1))
    taken = [_some(table, max(int(len(table) * share), 1)) for table in tables]
    frames = [_frame(table, kinds) for table in taken]
    now = _frame(_some(_in_time(current.rows.select(list(kinds)), current.kinds), MOST_ROWS), kinds)
    sizes = [len(frame) for frame in frames]
    shuffled = not _has_time(kinds) and any(_is_sorted(frame, kinds) for frame in frames)
    return Pair(
        pd.concat(frames, ignore_index=True),
        now,
        kinds,
        _blocks(sizes, shuffled=shuffled),
        np.repeat(np.arange(len(sizes)), sizes),
        _has_time(kinds),
        tuple(name for name in first if name not in current.kinds),
        tuple(name for name in current.kinds if name not in first),
        other_types,
        sum(map(len, tables)),
        len(current.rows),
    )


def common_kinds(
    references: Sequence[PlainRows], current: PlainRows
) -> tuple[dict[str, ColumnType], dict[str, str]]:
    """The types that read a column in all files, and the columns for which there is none."""
    kinds: dict[str, ColumnType] = {}
    others: dict[str, str] = {}
    for name in references[0].kinds:
        files = [*references, current]
        if not all(name in each.kinds for each in files):
            continue
        found = {each.kinds[name] for each in files if each.rows.column(name).null_count < len(each.rows)}
        kind = _common(found)
        if kind is None:
            before = references[0].kinds[name]
            others[name] = f"is {current.kinds[name]}, and {before} in the reference"
        else:
            kinds[name] = kind
    return kinds, others


def _common(found: set[ColumnType]) -> ColumnType | None:
    """The type that holds the values of all; one that has no value at all goes with any."""
    if len(found) <= 1:
        return next(iter(found), "string")
    if found <= NUMBERS:
        return "float64"
    if found <= TIMES:
        return "timestamp"
    return "int64" if found == {"bool", "int64"} else None


def _in_time(rows: pa.Table, kinds: Mapping[str, ColumnType]) -> pa.Table:
    """The rows in the order of their time, where they have one."""
    times = [name for name in rows.column_names if kinds[name] in TIMES and rows.column(name).null_count == 0]
    return rows.take(pc.sort_indices(rows.column(times[0]))) if times and len(rows) else rows


def _some(rows: pa.Table, most: int) -> pa.Table:
    """At most about so many rows, in pieces that are spread over all of them."""
    if len(rows) <= most:
        return rows
    long = max(most // PIECES, 1)
    starts = np.linspace(0, len(rows) - long, PIECES).astype(np.int64)
    return rows.take(pa.array(np.unique((starts[:, None] + np.arange(long)).ravel())))


def _frame(rows: pa.Table, kinds: Mapping[str, ColumnType]) -> pd.DataFrame:
    """The values as pandas has them; blank text is missing, and so is infinity, which has no mean."""
    columns = {}
    for name, kind in kinds.items():
        column = rows.column(name)
        if kind in NUMBERS:
            numbers = pc.cast(column, pa.float64(), safe=False).to_numpy()
            columns[name] = pd.Series(np.where(np.isinf(numbers), np.nan, numbers))
        elif kind == "string":
            texts = column.cast(pa.string())
            blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
            columns[name] = pc.if_else(pc.fill_null(blank, True), None, texts).to_pandas()  # noqa: FBT003
        elif kind in TIMES:
            columns[name] = column.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC")).to_pandas()
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns)


def _has_time(kinds: Mapping[str, ColumnType]) -> bool:
    return any(kind in TIMES or CALENDAR.search(name) for name, kind in kinds.items())


def _is_sorted(rows: pd.DataFrame, kinds: Mapping[str, ColumnType]) -> bool:
    """Whether the rows are sorted by a category, so that their order says nothing of time."""
    for name, kind in kinds.items():
        codes = pd.factorize(rows[name])[0]
        different = len(np.unique(codes))
        if 1 < different <= 50 and kind in {"string", "bool", "int64"}:
            runs = 1 + int((np.diff(codes) != 0).sum())
            if runs == different:
                return True
    return False


def _blocks(sizes: Sequence[int], *, shuffled: bool) -> Codes:
    """The block of each row of the reference: its file, where there are many, else a piece of one."""
    if len(sizes) >= ENOUGH_FILES:
        return np.repeat(np.arange(len(sizes)), sizes)
    rows = sum(sizes)
    wanted = int(np.clip(rows // BLOCK_ROWS, FEWEST_BLOCKS, MOST_BLOCKS))
    found, before = [], 0
    for size in sizes:
        own = max(round(wanted * size / rows), 1)
        found.append(before + np.arange(size) * own // size)
        before += own
    blocks = np.concatenate(found)
    return np.random.default_rng(SEED).permutation(blocks) if shuffled else blocks
