"""Read text as numbers and times at once where all of it is written plainly, as most files are.

Arrow reads such text many times faster than the expressions of `typed_values`, but takes more for a value
than they do: hexadecimal numbers, hours without minutes. So it is asked only about text of a few characters
and lengths, for which both give the same; of any other text nothing is said here.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.spec import ColumnType

EXACT_FLOAT = 2**53
"""The whole numbers up to here are the ones that float64 holds without gaps."""

FIRST_DAY = pa.scalar(date(1, 1, 1), pa.date32())
FIRST_TIME = pa.scalar(-62_135_596_800_000_000, pa.timestamp("us", "UTC"))


def read_quickly(texts: pa.Array, kind: ColumnType) -> pa.Array | None:
    """The values of plain text; None where some of it is not plain."""
    if kind not in READERS:
        return None
    characters, read = READERS[kind]
    if not _only(texts, characters):
        return None
    try:
        return read(texts)
    except pa.ArrowInvalid:
        return None


def _only(texts: pa.Array, allowed: "np.ndarray[Any, np.dtype[np.bool_]]") -> bool:
    """Whether the texts are made of some characters only."""
    offsets, data = texts.buffers()[1:]
    if data is None:
        return True
    bounds = np.frombuffer(offsets, dtype=np.int32)[[texts.offset, texts.offset + len(texts)]]
    return bool(allowed[np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[1]]].all())


def _whole(texts: pa.Array) -> pa.Array:
    return texts.cast(pa.int64())


def _numbers(texts: pa.Array) -> pa.Array | None:
    """No number without an end, and no whole one that is not exact."""
    values = texts.cast(pa.float64())
    largest = pc.max(pc.abs(values)).as_py()
    return values if largest is None or largest < EXACT_FLOAT else None


def _days(texts: pa.Array) -> pa.Array | None:
    if _lengths(texts) - {10}:
        return None
    days = texts.cast(pa.date32())
    return days if pc.all(pc.greater_equal(days, FIRST_DAY)).as_py() is not False else None


def _times(texts: pa.Array) -> pa.Array | None:
    """Times to the second, all with a Z at their end or all without a zone."""
    lengths = _lengths(texts)
    if lengths - {10, 19} and lengths - {20}:
        return None
    kind = pa.timestamp("us", "UTC") if 20 in lengths else pa.timestamp("us")
    times = texts.cast(kind).cast(pa.timestamp("us", "UTC"))
    return times if pc.all(pc.greater_equal(times, FIRST_TIME)).as_py() is not False else None


def _lengths(texts: pa.Array) -> set[int]:
    return {length for length in pc.unique(pc.binary_length(texts)).to_pylist() if length is not None}


def _characters(listed: str) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    return np.isin(np.arange(256), [ord(character) for character in listed])


READERS: dict[ColumnType, tuple[Any, Callable[[pa.Array], pa.Array | None]]] = {
    "int64": (_characters("0123456789-"), _whole),
    "float64": (_characters("0123456789-+.eE"), _numbers),
    "date": (_characters("0123456789-"), _days),
    "timestamp": (_characters("0123456789-:TZ "), _times),
}
"""For each type the characters of plain text, and what reads it."""
