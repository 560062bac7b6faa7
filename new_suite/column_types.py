"""Decide each column's type from all of its values, and read them as landed files are read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from new_suite.sample import Format, Sample
from new_suite.slack import BAD_SHARE
from tasks.data.typed_values import from_text
from tasks.errors import InvalidRequest
from tasks.spec.base import ColumnType
from tasks.stores.lake import ARROW_TYPES

OF_TEXT: tuple[ColumnType, ...] = ("int64", "float64", "bool", "date", "timestamp")
"""The types that text may have, the narrowest first."""

OF_JSON_TEXT: tuple[ColumnType, ...] = ("date", "timestamp")
"""JSON and Parquet say themselves what is a number; only times are text there."""

PLACEHOLDERS = 3
"""So many different words may stand where a value is missing (`NA`, `-`); more are values of another kind."""

NUMBER_WITH_ZEROS = r"^[+-]?0[0-9]"
POINT = r"[.]"
JSON_KINDS: dict[str, ColumnType] = {
    "BIGINT": "int64",
    "UBIGINT": "int64",
    "DOUBLE": "float64",
    "BOOLEAN": "bool",
    "VARCHAR": "string",
}


@dataclass(frozen=True)
class Typed:
    """A sample's values with their types.

    Attributes:
        columns: Each column's type.
        rows: The rows all of whose values are of their types; the others never reach a suite.
        remarks: What somebody has to look at, a sentence each.
    """

    columns: dict[str, ColumnType]
    rows: pa.Table
    remarks: tuple[str, ...]


Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class _Column:
    """A column as one type; `misread` marks values that are not of it, null in `values`."""

    kind: ColumnType
    values: pa.Array
    misread: Mask
    remark: str = ""


def _as_it_is(texts: pa.Array, remark: str = "") -> _Column:
    return _Column("string", texts, np.zeros(len(texts), dtype=np.bool_), remark)


def decide_types(sample: Sample) -> Typed:
    """Give each column the narrowest type that reads its values.

    Raises:
        InvalidRequest: A column has values for which tables have no type, or of several types at once; no row
            is left whose values can all be read.
    """
    decided = {
        name: READ[sample.format](sample, name, sample.rows.column(name).combine_chunks())
        for name in sample.rows.column_names
    }
    wrong = np.logical_or.reduce([column.misread for column in decided.values()])
    if wrong.all():
        faults = "; ".join(f"{name}: {column.remark}" for name, column in decided.items() if column.remark)
        raise InvalidRequest(f"{sample.file} has no row whose values can all be read. {faults}")
    rows = pa.table({name: column.values for name, column in decided.items()})
    return Typed(
        {name: column.kind for name, column in decided.items()},
        rows.filter(pa.array(~wrong)),
        tuple(f"{name}: {column.remark}" for name, column in decided.items() if column.remark),
    )


def _of_csv(_: Sample, __: str, texts: pa.Array) -> _Column:
    return _of_text(texts, OF_TEXT)


def _of_json(sample: Sample, name: str, texts: pa.Array) -> _Column:
    found = sample.json_types[name]
    if unknown := sorted(set(found) - set(JSON_KINDS)):
        raise InvalidRequest(
            f"{sample.file}: {name} has values of the JSON types {unknown}, for which a table has no type. "
            "Write plain values, each into a column of its own."
        )
    kinds = {JSON_KINDS[kind] for kind in found}
    if kinds == {"int64", "float64"}:
        kinds = {"float64"}
    if len(kinds) > 1:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
        raise InvalidRequest(
            f"{sample.file}: the values of {name} are of several types ({counts}), and no type of a table "
            "reads all of them. Write one type, and null where there is no value."
        )
    if kinds <= {"string"}:
        return _of_text(texts, OF_JSON_TEXT)
    return _read_as(texts, kinds.pop())


def _of_parquet(sample: Sample, name: str, column: pa.Array) -> _Column:
    kind = _kind_of(column.type)
    if kind is None:
        raise InvalidRequest(
            f"{sample.file}: {name} is {column.type}, for which a table has no type. Leave it out, or write "
            "numbers, text, truth values, times or dates."
        )
    if kind == "string":
        return _of_text(column.cast(pa.string()), OF_JSON_TEXT)
    if kind == "float64":
        numbers = column.cast(pa.float64())
        finite = pc.is_finite(numbers)
        return _with_remark(kind, pc.if_else(finite, numbers, None), column)
    try:
        values = column.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        raise InvalidRequest(
            f"{sample.file}: {name} is {column.type}, and a value of it is not one of {kind}: {error}."
        ) from error
    return _with_remark(kind, values, column)


READ: dict[Format, Callable[[Sample, str, pa.Array], _Column]] = {
    "csv": _of_csv,
    "json": _of_json,
    "parquet": _of_parquet,
}


def _kind_of(found: pa.DataType) -> ColumnType | None:
    known: tuple[tuple[Callable[[pa.DataType], bool], ColumnType], ...] = (
        (pa.types.is_boolean, "bool"),
        (pa.types.is_integer, "int64"),
        (pa.types.is_floating, "float64"),
        (pa.types.is_decimal, "float64"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
    )
    return next((kind for fits, kind in known if fits(found)), None)


def _of_text(texts: pa.Array, kinds: tuple[ColumnType, ...]) -> _Column:
    """The type that most of the texts have, if others are only words that stand for no value."""
    if not _count_of_values(texts):
        return _as_it_is(texts, "it has no value in the sample, so its type is only a guess.")
    read = [_read_as(texts, kind) for kind in kinds if _may_be(texts, kind)]
    best = min(read, key=lambda column: int(column.misread.sum()), default=None)
    if best is None:
        return _as_it_is(texts)
    wrong = texts.filter(pa.array(best.misread))
    if not len(wrong):
        return best
    share = len(wrong) / _count_of_values(texts)
    if share <= BAD_SHARE and len(wrong.unique()) <= PLACEHOLDERS:
        return best
    remark = ""
    if share < 0.5:
        remark = (
            f"it is mixed: {1 - share:.1%} of its values are {best.kind}, others are such as "
            f"{wrong[0].as_py()[:40]!r}. It is proposed as text."
        )
    return _as_it_is(texts, remark)


def _may_be(texts: pa.Array, kind: ColumnType) -> bool:
    """Whether a number would keep all that the text says: `007` is a code, and `1.0` was no whole number."""
    if kind not in {"int64", "float64"}:
        return True
    written = [NUMBER_WITH_ZEROS, *([POINT] if kind == "int64" else [])]
    return not any(pc.any(pc.match_substring_regex(texts, pattern)).as_py() for pattern in written)


def _read_as(texts: pa.Array, kind: ColumnType) -> _Column:
    values = from_text(pa.table({"value": texts}), {"value": kind}).rows.column("value").combine_chunks()
    return _with_remark(kind, values, texts)


def _with_remark(kind: ColumnType, values: pa.Array, raw: pa.Array) -> _Column:
    misread = np.asarray(pc.is_null(values)) & _is_given(raw)
    if not misread.any():
        return _Column(kind, values, misread)
    example = str(raw[int(misread.argmax())].as_py())[:40]
    return _Column(
        kind,
        values,
        misread,
        f"{misread.sum():,} of {len(raw):,} values are not {kind}, such as {example!r}. Such rows go to "
        "quarantine; write nothing where there is no value.",
    )


def _count_of_values(texts: pa.Array) -> int:
    return int(_is_given(texts).sum())


def _is_given(raw: pa.Array) -> Mask:
    """Which values are there; blank text is none, as where files land."""
    there = pc.is_valid(raw)
    if pa.types.is_string(raw.type):
        not_blank = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(raw)), 0)
        there = pc.and_(there, pc.coalesce(not_blank, pa.scalar(value=False)))
    return np.asarray(there, dtype=np.bool_)
