"""Read a landed file: CSV, JSON lines or Parquet, each also
gzipped, into rows with the columns that its table declares.

A fault of the whole file (it cannot be read, it is cut off, its columns are not the table's) is
`DataRejected`. A fault of a single row is kept beside the rows, so that the others can join the table.
"""

import csv
import gzip
import io
import json
import sys
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tasks.data import strict_json
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import TypedRows, from_arrow, from_python, from_text
from tasks.errors import DataRejected
from tasks.spec import TableSpec

MAXIMUM_BYTES = 1 << 30
READABLE = "row_is_readable"


@dataclass(frozen=True)
class LandedRows:
    """The readable rows of a file.

    Attributes:
        typed: Their values, with a note of each that does not have its column's type.
        numbers: For each row its place in the file, as `BrokenRow.number`.
        unreadable: The rows that are no rows.
        landed: Gives the rows at some positions as they were landed, as JSON.
    """

    typed: TypedRows
    numbers: "np.ndarray[Any, np.dtype[np.int64]]"
    unreadable: tuple[BrokenRow, ...]
    landed: Callable[[Sequence[int]], list[str]]


def content_of(name: str, data: bytes) -> bytes:
    """The bytes of a landed file, unpacked where its name ends with .gz.

    Raises:
        DataRejected: It is damaged, cut off, empty, or unpacks to more than `MAXIMUM_BYTES`.
    """
    if name.lower().endswith(".gz"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MAXIMUM_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataRejected(
                f"{name} cannot be unpacked: {error}. It is damaged or cut off; land it again."
            ) from error
    if len(data) > MAXIMUM_BYTES:
        raise DataRejected(f"{name} is larger than {MAXIMUM_BYTES >> 20} MiB unpacked. Land it in parts.")
    if not data:
        raise DataRejected(f"{name} is empty.")
    return data


def read_rows(name: str, content: bytes, table: TableSpec) -> LandedRows:
    """The rows of an unpacked file.

    Raises:
        DataRejected: A fault of the whole file; the message says which.
    """
    kind = name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in READERS:
        raise DataRejected(
            f"{name}: the kind of file is unknown. Land one of {', '.join(sorted(READERS))}, each also with "
            ".gz."
        )
    try:
        rows = READERS[kind](name, content, table)
    except (pa.ArrowException, duckdb.Error, ValueError, OverflowError) as error:
        raise DataRejected(
            f"{name} cannot be read: {error}. It is damaged, or not what its name says."
        ) from error
    if not len(rows.numbers) and not rows.unreadable:
        raise DataRejected(f"{name} has no rows.")
    return rows


def _read_csv(name: str, content: bytes, table: TableSpec) -> LandedRows:
    text = _decoded(name, content)
    _check_quotes(name, text)
    _check_columns(name, next(csv.reader(io.StringIO(text, newline="")), []), table)
    invalid: list[pacsv.InvalidRow] = []

    def keep_aside(row: pacsv.InvalidRow) -> str:
        invalid.append(row)
        return "skip"

    try:
        rows = pacsv.read_csv(
            pa.py_buffer(text.encode()),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep_aside),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(table.columns, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataRejected(f"{name} cannot be read as CSV: {str(error).rstrip('.')}.") from error
    return _without_invalid(name, rows, invalid, table)


def _without_invalid(
    name: str, rows: pa.Table, invalid: list[pacsv.InvalidRow], table: TableSpec
) -> LandedRows:
    """Give the rows of a CSV file their places among the rows that have too many or too few values."""
    total = len(rows) + len(invalid)
    skipped = np.array([row.number - 1 for row in invalid], dtype=np.int64)  # the header is number 1
    if total in skipped:
        raise DataRejected(
            f"{name} ends in the middle of a row: the last one has {invalid[-1].actual_columns} of "
            f"{invalid[-1].expected_columns} values. It is cut off; land it again."
        )
    unreadable = tuple(
        BrokenRow(
            int(number),
            json.dumps(row.text),
            READABLE,
            f"The row has {row.actual_columns} values, but the header has {row.expected_columns}.",
        )
        for number, row in zip(skipped, invalid, strict=True)
    )
    numbers = np.setdiff1d(np.arange(1, total + 1), skipped)
    return LandedRows(from_text(rows, table.columns), numbers, unreadable, _as_json(rows))


def _read_json_lines(name: str, content: bytes, table: TableSpec) -> LandedRows:
    lines = [
        (number, line)
        for number, line in enumerate(_decoded(name, content).split("\n"), start=1)
        if line and not line.isspace()
    ]
    rows: list[dict[str, Any]] = []
    kept: list[tuple[int, str]] = []
    unreadable: list[BrokenRow] = []
    for number, line in lines:
        try:
            rows.append(_json_row(line, table))
            kept.append((number, line))
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError) and number == lines[-1][0]:
                raise DataRejected(
                    f"{name} ends in a broken line, {number}: {error}. It is cut off; land it again."
                ) from error
            unreadable.append(
                BrokenRow(number, json.dumps(line), READABLE, f"The line cannot be a row: {error}.")
            )
    if rows:
        _check_columns(name, list({key: None for row in rows for key in row}), table)
    numbers = np.array([number for number, _ in kept], dtype=np.int64)
    return LandedRows(
        from_python(rows, table.columns),
        numbers,
        tuple(unreadable),
        lambda positions: [kept[place][1] for place in positions],
    )


def _json_row(line: str, table: TableSpec) -> dict[str, Any]:
    row = strict_json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - told like every other fault of the line
    if unknown := sorted(set(row) - set(table.columns)):
        raise ValueError(f"the table {table.table!r} has no column {', '.join(unknown)}")
    if "\\u" in line:
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but not text
    return row


def _read_parquet(name: str, content: bytes, table: TableSpec) -> LandedRows:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_columns(name, file.schema_arrow.names, table)
        size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
        if size > MAXIMUM_BYTES:
            raise DataRejected(
                f"{name} unpacks to {size >> 20} MiB, more than {MAXIMUM_BYTES >> 20}. Land it in parts."
            )
        rows = file.read().select(list(table.columns))
        rows.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise DataRejected(
            f"{name} cannot be read as Parquet: {str(error).rstrip('.')}. It is damaged or cut off; land it "
            "again."
        ) from error
    return LandedRows(from_arrow(name, rows, table.columns), np.arange(1, len(rows) + 1), (), _as_json(rows))


READERS: dict[str, Callable[[str, bytes, TableSpec], LandedRows]] = {
    "csv": _read_csv,
    "jsonl": _read_json_lines,
    "ndjson": _read_json_lines,
    "parquet": _read_parquet,
}


def _as_json(rows: pa.Table) -> Callable[[Sequence[int]], list[str]]:
    return lambda positions: [
        json.dumps(row, default=str) for row in rows.take(pa.array(positions, pa.int64())).to_pylist()
    ]


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataRejected(
            f"{name} is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}. Write it as UTF-8."
        ) from error


def _check_columns(name: str, found: Sequence[str], table: TableSpec) -> None:
    missing = [column for column in table.columns if column not in found]
    unknown = [column for column in dict.fromkeys(found) if column not in table.columns]
    double = [column for column in dict.fromkeys(found) if list(found).count(column) > 1]
    faults = [
        f"{fault} {columns}"
        for fault, columns in (("misses", missing), ("adds", unknown), ("doubles", double))
        if columns
    ]
    if faults:
        raise DataRejected(
            f"{name} does not have the columns of the table {table.table!r}: it {' and '.join(faults)}. "
            f"Expected are {list(table.columns)}.",
            missing=missing,
            unknown=unknown,
            double=double,
        )


def _check_quotes(name: str, text: str) -> None:
    """Refuse a CSV file that ends within quotes: pyarrow would take the rest of the file as one value."""
    if '"' not in text:
        return
    csv.field_size_limit(sys.maxsize)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            deque(rows, maxlen=0)
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise DataRejected(f"{name} ends within quotes. It is cut off; land it again.") from error
        else:
            return
