"""The rows of a plain file, read by the readers of landed files, with types that its values show.

No table says what the columns are. So text is read as text, and each column gets the narrowest type that
reads its values; a few words in the place of missing values (`NA`, `-`) are no values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.csv_reader import header_of
from tasks.data.file_readers import kind_of_file, read_rows
from tasks.data.json_reader import kinds_of_keys
from tasks.data.landed_file import LandedFile
from tasks.data.parquet_reader import kinds_of_columns
from tasks.data.plain_file import open_plain
from tasks.data.quarantine import BrokenRow
from tasks.data.text_file import ends_with_newline
from tasks.data.typed_values import DAY, from_text
from tasks.errors import DataRejected, InvalidRequest
from tasks.spec import ColumnType, TableSpec

OF_TEXT: tuple[ColumnType, ...] = ("int64", "float64", "bool", "date", "timestamp")
OF_JSON_TEXT: tuple[ColumnType, ...] = ("date", "timestamp")
"""JSON and Parquet say themselves what is a number; only times are text there."""
FIRST_VALUES = 2000
"""A type that reads few of so many values is not tried on all of them."""
MOST_COLUMNS = 1000
"""Of more, the types alone take many minutes to find."""
MISREAD_SHARE = 0.05
PLACEHOLDER_CHARACTERS = 12
MOST_PLACEHOLDERS = 5
NUMBER_WITH_ZEROS = r"^[+-]?0[0-9]"


@dataclass(frozen=True)
class PlainRows:
    """What a plain file holds.

    Attributes:
        path: Where it lies.
        rows: Its readable rows; a value that its column's type does not read is null.
        kinds: The type of each column.
        misread: How many values of a column are not of its type, of those where there are some.
        examples: One of the misread values of each such column.
        unreadable: The rows that are no rows.
        not_plain: Columns of nested values, which are not looked at.
        ends_whole: Whether the last line of a text file ends; True for Parquet.
    """

    path: Path
    rows: pa.Table
    kinds: dict[str, ColumnType]
    misread: dict[str, int]
    examples: dict[str, str]
    unreadable: tuple[BrokenRow, ...]
    not_plain: tuple[str, ...]
    ends_whole: bool

    @property
    def name(self) -> str:
        return self.path.name


def read_plain(path: Path) -> PlainRows:
    """Read a CSV, Parquet or JSON lines file; the texts of CSV and JSON lines may be gzipped.

    Raises:
        DataRejected: It cannot be read; the message says why and what to do.
        InvalidRequest: It has more than `MOST_COLUMNS` columns.
    """
    with open_plain(path) as landed:
        declared, not_plain = _columns(landed)
        if len(declared) > MOST_COLUMNS:
            raise InvalidRequest(
                f"{landed.name} has {len(declared)} columns, and at most {MOST_COLUMNS} are looked at. Write "
                "files of some of the columns, and check them one after another."
            )
        unreadable: list[BrokenRow] = []
        rows = pa.concat_tables(list(_batches(landed, declared, unreadable)))
        is_text = kind_of_file(landed.name) != "parquet"
        ends_whole = not is_text or ends_with_newline(landed)
    of_text = OF_TEXT if kind_of_file(landed.name) == "csv" else OF_JSON_TEXT
    read = {name: _typed(rows.column(name), kind, of_text) for name, kind in declared.items()}
    wrong = {name: column for name, column in read.items() if column.misread}
    return PlainRows(
        path,
        pa.table({name: column.values for name, column in read.items()}),
        {name: column.kind for name, column in read.items()},
        {name: column.misread for name, column in wrong.items()},
        {name: column.example for name, column in wrong.items()},
        tuple(unreadable),
        not_plain,
        ends_whole,
    )


def _columns(landed: LandedFile) -> tuple[dict[str, ColumnType], tuple[str, ...]]:
    """The columns as their reader is asked for them, and those that hold no plain values."""
    kind = kind_of_file(landed.name)
    if kind == "csv":
        names = header_of(landed)
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise DataRejected(f"{landed.name} has the columns {double} more than once. Rename all but one.")
        return dict.fromkeys(names, "string"), ()
    if kind == "parquet":
        found = kinds_of_columns(landed)
        plain = {name: kind for name, kind in found.items() if kind is not None}
        return plain, tuple(name for name in found if name not in plain)
    return kinds_of_keys(landed), ()


def _batches(
    landed: LandedFile, columns: Mapping[str, ColumnType], unreadable: list[BrokenRow]
) -> Iterator[pa.Table]:
    """The readable rows; the others are put into `unreadable`."""
    for batch in read_rows(landed, _table(landed, columns), {}):
        unreadable.extend(batch.unreadable)
        broken = {name: int(mask.sum()) for name, mask in batch.typed.broken.items() if mask.any()}
        for name, count in broken.items():
            reason = f"{count} values of {name} are not {columns[name]}."
            unreadable.extend([BrokenRow(int(batch.numbers[0]), "", "values_have_the_columns_types", reason)])
        yield batch.typed.rows


def _table(landed: LandedFile, columns: Mapping[str, ColumnType]) -> TableSpec:
    """What the readers are told of a file without a table: any names, none of them a key.

    It is not validated, because a plain file may have names that a table must not.
    """
    if not columns:
        raise DataRejected(f"{landed.name} has no columns.")
    return TableSpec.model_construct(
        table=landed.name,
        key=next(iter(columns)),
        columns=dict(columns),
        suite=landed.name,
        unknown_columns="ignore",
        missing_columns="ignore",
    )


@dataclass(frozen=True)
class _Column:
    kind: ColumnType
    values: pa.Array
    misread: int = 0
    example: str = ""


def _typed(column: pa.ChunkedArray, kind: ColumnType, of_text: tuple[ColumnType, ...]) -> _Column:
    """A column as the narrowest type that reads its values."""
    values = column.combine_chunks()
    if kind != "string" or not _count(values):
        return _Column(kind, values)
    first = values.slice(0, FIRST_VALUES) if _count(values.slice(0, FIRST_VALUES)) else values
    for candidate in of_text:
        if not _keeps(values, candidate) or _read(first, candidate).misread > 0.5 * _count(first):
            continue
        found = _read(values, candidate)
        if not found.misread or _is_mistake(values, found):
            return found
    return _Column("string", values)


def _keeps(texts: pa.Array, kind: ColumnType) -> bool:
    """Whether a number would keep all that the text says: `007` is a code, and so is a bare 0 or 1 no truth
    value.
    """
    if kind == "bool":
        return not pc.any(pc.match_substring_regex(texts, "^[ 01]+$")).as_py()
    if kind not in {"int64", "float64"}:
        return True
    return not pc.any(pc.match_substring_regex(texts, NUMBER_WITH_ZEROS)).as_py()


def _read(texts: pa.Array, kind: ColumnType) -> _Column:
    typed = from_text(pa.table({"value": texts}), {"value": kind})
    broken = typed.broken["value"]
    misread = int(broken.sum())
    example = str(texts[int(np.argmax(broken))].as_py())[:40] if misread else ""
    return _Column(kind, typed.rows.column("value").combine_chunks(), misread, example)


def _is_mistake(texts: pa.Array, found: _Column) -> bool:
    """Whether the values that a type does not read are mistakes or stand for none: few, or a few short words.

    What is written like a date is meant as one, however many are none.
    """
    others = texts.filter(pc.and_(pc.is_null(found.values), pc.is_valid(texts)))
    if found.kind in {"date", "timestamp"}:
        dates = pc.sum(pc.match_substring_regex(others, f"^{DAY}")).as_py() or 0
        return bool(dates >= 0.5 * len(others)) or found.misread <= MISREAD_SHARE * _count(texts)
    if found.kind == "int64" and pc.any(pc.match_substring_regex(others, "[0-9]")).as_py():
        return found.misread <= MISREAD_SHARE * _count(texts) and not _reads_more(others)
    words = others.unique()
    are_words = (
        len(words) <= MOST_PLACEHOLDERS and pc.max(pc.utf8_length(words)).as_py() <= PLACEHOLDER_CHARACTERS
    )
    return found.misread <= (0.5 if are_words else MISREAD_SHARE) * _count(texts)


def _reads_more(others: pa.Array) -> bool:
    """Whether what is no whole number is a number all the same."""
    return _read(others, "float64").misread < len(others)


def _count(texts: pa.Array) -> int:
    """How many values there are; blank text is none."""
    given = pc.and_(pc.is_valid(texts), pc.fill_null(pc.greater(pc.utf8_length(texts), 0), False))  # noqa: FBT003
    return int(pc.sum(given).as_py() or 0)
