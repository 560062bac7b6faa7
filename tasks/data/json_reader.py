"""Read JSON lines: one object a line, its keys the columns."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tasks.data import strict_json
from tasks.data.landed_file import LandedFile
from tasks.data.landed_rows import BATCH_BYTES, READABLE, ROW_BYTES, LandedRows, without_blank
from tasks.data.layout import Layout, layout_of
from tasks.data.quarantine import BrokenRow
from tasks.data.strict_json import WrittenNumber
from tasks.data.text_file import ends_with_newline, require_utf8
from tasks.data.typed_values import from_python
from tasks.errors import DataRejected
from tasks.spec import ColumnType, TableSpec

BATCH_ROWS = 50_000
KINDS: dict[type, ColumnType] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    WrittenNumber: "float64",
    str: "string",
}


def read_json_lines(
    landed: LandedFile, table: TableSpec, grown: Mapping[str, ColumnType]
) -> Iterator[LandedRows]:
    """The rows of a file of JSON lines. A key that no line has is a column that the file lacks."""
    _require_lines(landed)
    added = kinds_of_keys(landed, table.columns) if table.unknown_columns == "add" else {}
    layout = layout_of(landed.name, [*table.columns, *added], table, grown, added.get)
    seen: set[str] = set()
    batch = _Batch(layout, table, seen)
    for number, line in _lines(landed):
        batch.add(number, line)
        if batch.is_full:
            yield batch.rows()
            batch = _Batch(layout, table, seen)
    _require_whole(landed, batch)
    if seen:
        layout_of(landed.name, sorted(seen), table, grown, added.get)
    yield batch.rows()


class _Batch:
    """Some lines, as rows where they are some."""

    def __init__(self, layout: Layout, table: TableSpec, seen: set[str]) -> None:
        self.last_fault: tuple[int, json.JSONDecodeError] | None = None
        self.last_number = 0
        self._layout = layout
        self._table = table
        self._seen = seen
        self._rows: list[dict[str, Any]] = []
        self._has_others: list[bool] = []
        self._kept: list[tuple[int, str]] = []
        self._unreadable: list[BrokenRow] = []
        self._characters = 0

    @property
    def is_full(self) -> bool:
        return len(self._kept) + len(self._unreadable) >= BATCH_ROWS or self._characters >= BATCH_BYTES

    def add(self, number: int, line: str) -> None:
        self.last_number = number
        self._characters += len(line)
        try:
            row, others = _row(line, self._layout, self._table)
        except ValueError as error:
            if isinstance(error, json.JSONDecodeError):
                self.last_fault = number, error
            reason = f"The line cannot be a row: {error}."
            self._unreadable.append(BrokenRow(number, json.dumps(line), READABLE, reason))
        else:
            self._seen.update(row)
            self._rows.append(row)
            self._has_others.append(any(not _is_blank(value) for value in others))
            self._kept.append((number, line))

    def rows(self) -> LandedRows:
        kept = self._kept
        rows = LandedRows(
            from_python(self._rows, self._layout.columns),
            np.array([number for number, _ in kept], dtype=np.int64),
            tuple(self._unreadable),
            lambda positions: [kept[place][1] for place in positions],
        )
        has_others = np.array(self._has_others, dtype=np.bool_)
        return without_blank(rows, self._table.key, lambda positions: has_others[positions])


def _row(line: str, layout: Layout, table: TableSpec) -> tuple[dict[str, Any], list[Any]]:
    """The values of a line by their columns, and those of keys that do not join the table."""
    row = strict_json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - told like every other fault of the line
    if "\\u" in line:
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but not text
    unknown = sorted(set(row) - set(layout.columns))
    if unknown and table.unknown_columns == "refuse":
        raise ValueError(f"the table {table.table!r} has no column {', '.join(unknown)}")
    others = [row.pop(name) for name in unknown]
    return row, others


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _lines(landed: LandedFile) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number."""
    number = 0
    with landed.open() as file:
        while raw := file.readline(ROW_BYTES):
            number += 1
            if len(raw) == ROW_BYTES and not raw.endswith(b"\n"):
                raise DataRejected(f"{landed.name}: line {number} is longer than {ROW_BYTES >> 20} MiB.")
            line = _decode(landed, raw.removesuffix(b"\n"), first=number == 1)
            if line and not line.isspace():
                yield number, line


def _decode(landed: LandedFile, raw: bytes, *, first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        require_utf8(landed)
        raise


def _require_lines(landed: LandedFile) -> None:
    """Refuse a file that is one JSON array: its lines are no objects."""
    with landed.open() as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"[" and start[1:].lstrip()[:1] in {b"{", b"]", b""}:
        raise DataRejected(
            f"{landed.name} is one JSON array, not lines. Write one object a line, without brackets and "
            "commas around them (jq --compact-output '.[]')."
        )


def _require_whole(landed: LandedFile, batch: _Batch) -> None:
    """Refuse a file whose last line stops short."""
    if batch.last_fault is None or batch.last_fault[0] != batch.last_number:
        return
    number, error = batch.last_fault
    stops_short = error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg
    if stops_short or not ends_with_newline(landed):
        raise DataRejected(
            f"{landed.name} ends in a broken line, {number}: {error}. It is cut off; land it again."
        ) from error


def kinds_of_keys(landed: LandedFile, beside: Collection[str] = ()) -> dict[str, ColumnType]:
    """The type of each key beside some others: that of most of its values."""
    found: dict[str, Counter[ColumnType]] = {}
    for _, line in _lines(landed):
        for name, value in _values_of_keys(line, beside):
            found.setdefault(name, Counter())[KINDS.get(type(value), "string")] += value is not None
    return {name: _widest(kinds) for name, kinds in found.items()}


def _values_of_keys(line: str, beside: Collection[str]) -> Sequence[tuple[str, Any]]:
    try:
        row = strict_json.loads(line)
    except ValueError:
        return ()  # the line is told of when the rows are read
    items = row.items() if isinstance(row, dict) else ()
    return [(name, value) for name, value in items if name not in beside]


def _widest(kinds: "Counter[ColumnType]") -> ColumnType:
    given = {kind for kind, count in kinds.items() if count}
    if given == {"int64", "float64"}:
        return "float64"
    return kinds.most_common(1)[0][0] if given else "string"
