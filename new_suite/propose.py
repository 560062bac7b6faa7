"""Propose a suite and the columns' types from a sample, and write the suite where nothing is yet."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from new_suite.across import between_columns
from new_suite.column_types import Typed, decide_types
from new_suite.columns import nothing_said, of_column
from new_suite.expectation import Proposed
from new_suite.sample import Sample, read_sample
from tasks.errors import InvalidRequest
from tasks.settings import settings
from tasks.spec.base import ColumnType, Name

FEW_ROWS = 1000
"""With fewer rows the limits of the proposal are wide, and rare values are not seen."""

KEY_NAME = re.compile(r"(^|_)(id|key|uuid|guid|no|number)$", re.IGNORECASE)
KEY_KINDS: tuple[ColumnType, ...] = ("string", "int64", "timestamp")


@dataclass(frozen=True)
class Proposal:
    """What was proposed.

    Attributes:
        suite: The file that was written.
        in_place: Whether it is the suite of its table; else it lies beside the one that is there already.
        table: The table, as in pipeline.yaml; `key` is left out where no column identifies a row.
        remarks: What somebody has to look at, a sentence each.
    """

    suite: Path
    in_place: bool
    table: dict[str, Any]
    expectations: int
    rows: int
    remarks: tuple[str, ...]


def propose(table: str, file: str) -> Proposal:
    """Write `great_expectations/expectations/<table>.json`, or `<table>.json.proposed` beside one.

    Raises:
        InvalidRequest: The name cannot be a table's, the file is no sample of one, or both places are taken.
    """
    _require_name(table)
    path = _free_place(table)
    sample = read_sample(file)
    typed = decide_types(sample)
    key = likely_key(sample, typed)
    expectations = expectations_of(typed, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as suite:
        suite.write(_document(table, expectations))
    described: dict[str, Any] = {"table": table, "key": key, "columns": typed.columns, "suite": table}
    return Proposal(
        path,
        path.suffix == ".json",
        {name: value for name, value in described.items() if value is not None},
        len(expectations),
        len(sample.rows),
        (*_remarks(sample, typed, key), *typed.remarks, *_unsaid(typed, key)),
    )


def _require_name(table: str) -> None:
    try:
        TypeAdapter(Name).validate_python(table)
    except ValidationError as error:
        raise InvalidRequest(
            f"{table!r} cannot be a table's name. Use at most 63 lower-case letters, digits and underscores, "
            "the first a letter, for example TABLE=reviews."
        ) from error
    if "__" in table:
        raise InvalidRequest(
            f"{table!r} has two underscores in a row, which part a table's name from that of its own "
            "quarantine (reviews__quarantine). Use one."
        )


def _free_place(table: str) -> Path:
    """Where the proposal goes: a suite that somebody has reviewed is never written over."""
    suite = settings().suites / "expectations" / f"{table}.json"
    proposed = suite.with_name(f"{suite.name}.proposed")
    if not suite.exists():
        return suite
    if proposed.exists():
        raise InvalidRequest(
            f"{suite} and {proposed} are there already, and neither is written over. Take over what you want "
            "from the proposal and remove it, or choose another TABLE."
        )
    return proposed


def likely_key(sample: Sample, typed: Typed) -> str | None:
    """The column that identifies a row: of those whose values are all there and all different, one that is
    called so, else the first; text with blanks is prose that happens to differ. None where there is none.
    """
    unique = [
        name
        for name, kind in typed.columns.items()
        if name in sample.unique and kind in KEY_KINDS and not _is_prose(typed.rows.column(name))
    ]
    return next((name for name in unique if KEY_NAME.search(name)), next(iter(unique), None))


def _is_prose(column: pa.ChunkedArray) -> bool:
    return pa.types.is_string(column.type) and bool(pc.any(pc.match_substring(column, " ")).as_py())


def expectations_of(typed: Typed, key: str | None) -> tuple[Proposed, ...]:
    """What the sample says of its columns, of each by itself and of pairs."""
    columns = [
        each
        for name, kind in typed.columns.items()
        for each in of_column(name, kind, typed.rows.column(name).combine_chunks())
    ]
    layout = Proposed(
        "expect_table_columns_to_match_set", {"column_set": list(typed.columns)}, "The sample's columns."
    )
    found = (layout, *columns, *between_columns(typed.columns, typed.rows, key))
    return tuple(each for each in found if each.says_something)


def _remarks(sample: Sample, typed: Typed, key: str | None) -> list[str]:
    remarks = []
    if len(sample.rows) < FEW_ROWS:
        remarks.append(
            f"The sample has only {len(sample.rows)} rows, so the limits are wide. A few thousand are better."
        )
    if len(sample.rows) < sample.total:
        remarks.append(f"{len(sample.rows):,} of {sample.total:,} rows were looked at, drawn at random.")
    if key is None:
        remarks.append(
            "No column identifies a row, and a table needs one as its `key`. Add one to the files."
        )
    elif not KEY_NAME.search(key) and (called := _called_like_a_key(sample, typed)):
        repeat = "repeats or is missing" if len(called) == 1 else "repeat or are missing"
        remarks.append(
            f"{', '.join(called)} {repeat} in some rows, and the key {key} is only the first column without "
            "repeats. Look whether it really identifies a row; if not, correct the files."
        )
    return remarks


def _called_like_a_key(sample: Sample, typed: Typed) -> list[str]:
    """The columns that are called as keys are, but identify no row."""
    return [name for name in typed.columns if KEY_NAME.search(name) and name not in sample.unique]


def _unsaid(typed: Typed, key: str | None) -> list[str]:
    reasons = {
        name: nothing_said(kind, typed.rows.column(name).combine_chunks())
        for name, kind in typed.columns.items()
        if name != key
    }
    return [f"{name}: {reason}" for name, reason in reasons.items() if reason]


def _document(name: str, expectations: Sequence[Proposed]) -> str:
    lines = ",\n".join(f"    {json.dumps(each.declared, ensure_ascii=False)}" for each in expectations)
    return f'{{\n  "name": {json.dumps(name)},\n  "expectations": [\n{lines}\n  ]\n}}\n'
