"""Read CSV as RFC 4180 has it: quotes are read strictly, and a row that breaks the rules is named.

pyarrow reads the rows, but lets pass what it does not understand: after a closing quote it takes whatever
follows as a part of the value. So `csv_quotes` looks at them first, and rows whose quotes break the rules
never reach pyarrow.
"""

import codecs
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from tasks.data.csv_quotes import Open, without_broken_quotes
from tasks.data.findings import SAMPLE_CHARACTERS
from tasks.data.landed_file import LandedFile
from tasks.data.landed_rows import (
    BATCH_BYTES,
    READABLE,
    ROW_BYTES,
    LandedRows,
    Numbers,
    as_json,
    values_of,
    without_blank,
)
from tasks.data.layout import Layout, layout_of
from tasks.data.quarantine import BrokenRow
from tasks.data.text_file import ends_with_newline, require_utf8
from tasks.data.typed_values import from_text
from tasks.errors import DataRejected
from tasks.spec import ColumnType, TableSpec

LONGEST_HEADER = 1 << 20
FOOTER = re.compile(r"\(?\s*[\d,]+ rows?(\(s\))?\b[^,]*", re.IGNORECASE)

csv.field_size_limit(sys.maxsize)


def read_csv(landed: LandedFile, table: TableSpec, grown: Mapping[str, ColumnType]) -> Iterator[LandedRows]:
    """The rows of a CSV file with a header."""
    header = header_of(landed)
    _require_commas(landed.name, header, table)
    layout = layout_of(landed.name, header, table, grown, lambda _: "string")
    source, broken = without_broken_quotes(landed)
    rows = _Rows(landed, layout, broken)
    try:
        for texts in _batches(_blocks(source, header, rows.ragged)):
            yield without_blank(rows.take(texts), table.key, values_of(layout.left_out(texts)))
    except pa.ArrowInvalid as error:
        require_utf8(landed)
        raise DataRejected(f"{landed.name} cannot be read as CSV: {_said(error)}.") from error
    rows.require_whole()
    yield rows.take(pa.schema([(name, pa.string()) for name in header]).empty_table())


class _Rows:
    """Gives the rows of one file their types and places.

    Attributes:
        ragged: Rows of too many or too few values, which pyarrow put aside since the last batch.
    """

    def __init__(self, landed: LandedFile, layout: Layout, broken: list[BrokenRow]) -> None:
        self.ragged: list[pacsv.InvalidRow] = []
        self._landed = landed
        self._layout = layout
        self._broken = broken
        self._places = _Places([row.number for row in broken])
        self._last_ragged: pacsv.InvalidRow | None = None

    def take(self, texts: pa.Table) -> LandedRows:
        """The next readable rows, with the unreadable ones that are known by now."""
        unreadable = (*self._broken, *map(self._unreadable, self.ragged))
        self._places.leave_out([_index(row) for row in self.ragged])
        self._last_ragged = self.ragged[-1] if self.ragged else self._last_ragged
        self._broken = []
        self.ragged.clear()
        typed = self._layout.complete(from_text(texts, self._layout.read))
        return LandedRows(typed, self._places.next(len(texts)), unreadable, as_json(texts))

    def require_whole(self) -> None:
        """Refuse a file whose last row is not one: it is cut off, or a client wrote a footer.

        Raises:
            DataRejected: The message says which.
        """
        last = self.ragged[-1] if self.ragged else self._last_ragged
        if last is None or not self._places.is_last(_index(last)):
            return
        name = self._landed.name
        if FOOTER.fullmatch(last.text.strip()):
            raise DataRejected(
                f"{name} ends with {last.text.strip()!r}, a footer that a database client writes below the "
                "rows. Write the file without it."
            )
        if not ends_with_newline(self._landed):
            raise DataRejected(
                f"{name} ends in the middle of a row: the last one has {last.actual_columns} of "
                f"{last.expected_columns} values. It is cut off; land it again."
            )

    def _unreadable(self, row: pacsv.InvalidRow) -> BrokenRow:
        reason = f"The row has {row.actual_columns} values, but the header has {row.expected_columns}."
        return BrokenRow(self._places.of(_index(row)), json.dumps(row.text), READABLE, reason)


class _Places:
    """Which row of the file is the n-th that pyarrow was given, and which it gave back.

    Args:
        broken: The places of rows that pyarrow was not given, in order.
    """

    def __init__(self, broken: Sequence[int]) -> None:
        self._broken = np.array(broken, dtype=np.int64)
        self._shifts = self._broken - np.arange(len(broken))
        self._left_out: list[int] = []
        self._given = 0

    def of(self, index: int) -> int:
        return int(self._all_of(np.array([index]))[0])

    def leave_out(self, indexes: Sequence[int]) -> None:
        """These were given to pyarrow and did not come back."""
        self._left_out = [index for index in self._left_out if index > self._given] + list(indexes)

    def next(self, count: int) -> Numbers:
        """The places of the next rows that came back."""
        start = self._given + 1
        if not self._left_out and not len(self._broken):
            self._given += count
            return np.arange(start, start + count)
        candidates = np.setdiff1d(np.arange(start, start + count + len(self._left_out)), self._left_out)[
            :count
        ]
        self._given = int(candidates[-1]) if count else self._given
        return self._all_of(candidates)

    def is_last(self, index: int) -> bool:
        """Whether no row of the file follows that one, as far as they were given."""
        return index > self._given and not (self._broken > self.of(index)).any()

    def _all_of(self, indexes: Numbers) -> Numbers:
        return indexes + np.searchsorted(self._shifts, indexes, side="right")


def _index(row: pacsv.InvalidRow) -> int:
    return int(row.number) - 1  # the header is number 1


def header_of(landed: LandedFile) -> list[str]:
    """The names of the columns.

    Raises:
        DataRejected: The first line is no header.
    """
    with landed.open() as file:
        start = file.read(LONGEST_HEADER)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        require_utf8(landed)
        raise
    if landed.size > LONGEST_HEADER and "\n" not in text and "\r" not in text:
        raise DataRejected(
            f"{landed.name}: the first line is longer than {LONGEST_HEADER >> 20} MiB. It is no header."
        )
    try:
        return next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except csv.Error as error:
        raise DataRejected(f"{landed.name}: the header cannot be read: {error}.") from error


def _require_commas(name: str, header: Sequence[str], table: TableSpec) -> None:
    if len(header) == 1 and header[0] not in table.columns and any(mark in header[0] for mark in ";\t|"):
        raise DataRejected(
            f"{name} has one column, {header[0][:SAMPLE_CHARACTERS]!r}: its values are not comma-separated. "
            "Write it with commas."
        )


def _batches(blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in larger pieces: each costs its judges time, but large blocks cost pyarrow much memory."""
    held: list[pa.RecordBatch] = []
    for block in blocks:
        held.append(block)
        if sum(each.nbytes for each in held) >= BATCH_BYTES:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _blocks(source: Open, header: Sequence[str], ragged: list[pacsv.InvalidRow]) -> Iterator[pa.RecordBatch]:
    """The rows of a file, block by block; those of too many or too few values are put aside.

    Threads read faster, but do not say where a row is that they put aside. So where they meet one, the file
    is read once more without them, behind the blocks that had none. The blocks are the same in both ways.
    """
    done, met = 0, list[pacsv.InvalidRow]()
    try:
        blocks = pacsv.open_csv(_WholeLineEnds(source()), **_options(header, met, threads=True))
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return  # a header alone, whose line does not end
        raise
    for block in blocks:
        if met:
            break
        yield block
        done += 1
    if met:
        again = pacsv.open_csv(_WholeLineEnds(source()), **_options(header, ragged, threads=False))
        yield from islice(again, done, None)


class _WholeLineEnds(io.RawIOBase):
    """Gives pyarrow a file in pieces that never end between a CR and its LF.

    At such an edge pyarrow drops the LF, also where it stands inside of quotes and is a part of the value.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        if len(piece) > 1 and piece.endswith(b"\r"):
            self._file.seek(-1, io.SEEK_CUR)
            return piece[:-1]
        return piece


def _options(header: Sequence[str], ragged: list[pacsv.InvalidRow], *, threads: bool) -> dict[str, Any]:
    def put_aside(row: pacsv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    return {
        "read_options": pacsv.ReadOptions(use_threads=threads, block_size=ROW_BYTES),
        "parse_options": pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=put_aside),
        "convert_options": pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }


def _said(error: pa.ArrowInvalid) -> str:
    if "straddl" in str(error):
        return f"a row is longer than {ROW_BYTES >> 20} MiB"
    return str(error).rstrip(".")
