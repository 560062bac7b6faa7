"""A value is what was landed or it is marked as broken, whatever the file's format: never another value."""

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.data import strict_json
from tasks.data.typed_arrow import from_arrow
from tasks.data.typed_values import TypedRows, from_python, from_text
from tasks.errors import DataRejected
from tasks.spec import ColumnType

UTC = dt.UTC


def only(rows: TypedRows) -> list[Any]:
    """The values of the one column, `...` for each that is broken."""
    values, broken = rows.rows.column("x").to_pylist(), rows.broken["x"]
    assert all(value is None for value, wrong in zip(values, broken, strict=True) if wrong)
    return [... if wrong else value for value, wrong in zip(values, broken, strict=True)]


def texts(kind: ColumnType, *values: str | None) -> list[Any]:
    return only(from_text(pa.table({"x": pa.array(values, pa.string())}), {"x": kind}))


def json_values(kind: ColumnType, *values: Any) -> list[Any]:
    return only(from_python([{"x": value} for value in values], {"x": kind}))


def parquet(kind: ColumnType, values: pa.Array) -> list[Any]:
    return only(from_arrow("a.parquet", pa.table({"x": values}), {"x": kind}))


def test_text_is_of_a_type_or_broken() -> None:
    assert texts(
        "int64", "5", " 5 ", "+5", "-5.000", "5.5", "0x10", "1_000", "1e3", "", " ", None, "\t5"
    ) == [
        5,
        5,
        5,
        -5,
        ...,
        ...,
        ...,
        ...,
        None,
        None,
        None,
        ...,
    ]
    assert texts("int64", "9223372036854775807", "9223372036854775808", "9007199254740993.0") == [
        2**63 - 1,
        ...,
        2**53 + 1,
    ]
    assert texts("float64", "0.1", ".5", "5.", "1e3", "nan", "inf", "1e999", "1,5") == [
        0.1,
        0.5,
        5.0,
        1000.0,
        *[...] * 4,
    ]
    assert texts("bool", "true", "FALSE", "1", "0", "yes", "t") == [True, False, True, False, ..., ...]
    assert texts("date", "2026-02-28", "2026-02-30", "0000-01-01", "2026-1-1") == [
        dt.date(2026, 2, 28),
        *[...] * 3,
    ]


def test_a_time_is_held_to_its_microsecond_or_is_broken() -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert texts(
        "timestamp",
        "2026-01-01T12:00:00Z",
        "2026-01-01 13:00+01:00",
        "2026-01-01 12:00:00.123456000",
        "2026-01-01 12:00:00.123456789",
        "0000-12-31",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-01:00",
        "2026-01-01 12:00:00+25",
        "2026-01-01T12:00:60",
    ) == [
        noon,
        noon,
        noon.replace(microsecond=123456),
        *[...] * 3,
        dt.datetime.max.replace(tzinfo=UTC),
        *[...] * 3,
    ]


def test_a_time_may_have_a_blank_before_its_zone_and_no_hour_of_24() -> None:
    zones = [
        "",
        *(f"{blank}{zone}" for blank in ("", " ") for zone in ("Z", "UTC", "+00", "+0000", "-00:00")),
    ]
    times = [
        f"2026-01-31{mark}{time}{zone}" for mark in "T " for time in ("00:00", "00:00:00.0") for zone in zones
    ]
    assert set(texts("timestamp", *times)) == {dt.datetime(2026, 1, 31, tzinfo=UTC)}
    assert texts("timestamp", "2026-01-31 06:00 +05:30") == [dt.datetime(2026, 1, 31, 0, 30, tzinfo=UTC)]
    none = [
        "2026-01-31 24:00:00",
        "2026-01-31T24:00Z",
        "2026-01-31 12:60",
        "2026-01-31 00:00  Z",
        "2026-01-31 Z",
    ]
    assert texts("timestamp", *none) == [...] * len(none)


@pytest.mark.parametrize("read", [texts, json_values], ids=["text", "json"])
def test_a_whole_number_that_float64_does_not_hold_is_broken(read: Any) -> None:
    numbers = [2**53, 2**53 + 1, 2**60, -(2**60) - 1, 10**25]
    values = [str(number) for number in numbers] if read is texts else numbers
    assert read("float64", *values) == [2.0**53, ..., 2.0**60, ..., ...]


def test_whole_numbers_of_parquet_that_float64_does_not_hold_are_broken() -> None:
    assert parquet("float64", pa.array([2**53, 2**53 + 1, 2**60, None])) == [2.0**53, ..., 2.0**60, None]
    assert parquet("float64", pa.array([2**64 - 1, 2**63], pa.uint64())) == [..., 2.0**63]


def test_json_values_are_of_a_type_or_broken() -> None:
    assert json_values("int64", 1, 1.0, 1.5, True, "1", 2**63, 1e17, None) == [1, 1, *[...] * 5, None]
    assert json_values("int64", float(2**53 - 1), json.loads("9007199254740993.0")) == [2**53 - 1, ...]
    assert json_values("float64", 1, 0.5, math.inf, "0.5", True) == [1.0, 0.5, ..., ..., ...]
    assert json_values("bool", True, 1, "true") == [True, ..., ...]
    assert json_values("string", "", 1, ["a"]) == ["", ..., ...]
    assert json_values("date", "2026-02-28", "2026-02-30", 20260228) == [dt.date(2026, 2, 28), ..., ...]


def test_a_number_of_json_is_the_one_that_its_text_says_or_broken_as_in_csv() -> None:
    written = {
        "123456789012345.99999": (..., 123456789012346.0),
        "1.00000000000000000001": (..., 1.0),
        "1.00000000000000000000": (1, 1.0),
        "-9223372036854775808.0": (-(2**63), -(2.0**63)),
        "9223372036854775808.0": (..., 2.0**63),
        "9007199254740993.0": (2**53 + 1, ...),
        "9007199254740993.5": (..., 9007199254740994.0),
        "36893488147419103233.0": (..., ...),
        "36893488147419103233e0": (..., 2.0**65),
        "1e-400": (..., 0.0),
        "1e-99999999999999999999": (..., 0.0),
        "1e400": (..., ...),
        "0.1": (..., 0.1),
    }
    for number, (whole, real) in written.items():
        value = strict_json.loads(f"[{number}]")[0]
        assert (json_values("int64", value), json_values("float64", value)) == ([whole], [real]), number
        assert (texts("int64", number), texts("float64", number)) == ([whole], [real]), number
    assert json_values("int64", *strict_json.loads("[1e3, 1.5e1, 15e-1, -0.0]")) == [1000, 15, ..., 0]


@pytest.mark.parametrize("kind", [pa.decimal128(38, 10), pa.decimal256(60, 10)])
def test_decimals_are_held_exactly_or_to_the_nearest_float(kind: pa.DataType) -> None:
    values = [
        Decimal(text)
        for text in (
            "0",
            "5",
            "9007199254740993.5",
            "9007199254740993",
            "9223372036854775808",
            "0.0000000001",
        )
    ]
    column = pa.array([*values, None], kind)
    assert parquet("int64", column) == [0, 5, ..., 2**53 + 1, ..., ..., None]
    assert parquet("float64", column)[2] == 9007199254740994.0
    assert parquet("float64", column)[5] == 1e-10


def test_times_of_parquet_that_are_too_far_or_too_fine_are_broken() -> None:
    noon = int(dt.datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
    found = [dt.datetime.fromtimestamp(noon, UTC), ..., ..., None]
    for unit, per_second in (("s", 1), ("ms", 10**3), ("us", 10**6)):
        far = pa.array([noon, 300_000_000_000, -70_000_000_000, None], pa.int64())
        numbers = [value and value * per_second for value in far.to_pylist()]
        assert parquet("timestamp", pa.array(numbers, pa.timestamp(unit, "Europe/Berlin"))) == found
    fine = pa.array([noon * 10**9 + 1000, noon * 10**9 + 1], pa.timestamp("ns"))
    assert parquet("timestamp", fine) == [dt.datetime(2026, 1, 1, 12, 0, 0, 1, UTC), ...]
    assert parquet("date", pa.array([0, 5_000_000, -800_000], pa.date32())) == [dt.date(1970, 1, 1), ..., ...]
    assert parquet("timestamp", pa.array([1, 5_000_000], pa.date32())) == [
        dt.datetime(1970, 1, 2, tzinfo=UTC),
        ...,
    ]
    milliseconds = pa.array([86_400_000, 86_400_001], pa.int64()).cast(pa.date64(), safe=False)
    assert parquet("date", milliseconds)[0] == dt.date(1970, 1, 2)


def test_numbers_of_parquet_are_of_a_type_or_broken() -> None:
    assert parquet("int64", pa.array([1.0, 1.5, math.nan, math.inf, 2.0**63, -(2.0**63), None])) == [
        1,
        *[...] * 4,
        -(2**63),
        None,
    ]
    assert parquet("int64", pa.array([1, 2**64 - 1, None], pa.uint64())) == [1, ..., None]
    assert parquet("int64", pa.array([255], pa.uint8())) == [255]
    assert parquet("float64", pa.array([0.1], pa.float32())) == [pa.scalar(0.1, pa.float32()).as_py()]
    assert parquet("int64", pa.array(["5", "x"])) == [5, ...]
    assert parquet("string", pa.array(["a", None]).dictionary_encode()) == ["a", None]
    assert parquet("bool", pa.nulls(2)) == [None, None]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int64", pa.array([True])),
        ("bool", pa.array([1])),
        ("string", pa.array([1])),
        ("string", pa.array([b"a"])),
        ("date", pa.array([0], pa.timestamp("us"))),
        ("timestamp", pa.array([0], pa.time64("us"))),
        ("float64", pa.array([[1.0]])),
    ],
)
def test_a_column_that_has_nothing_to_do_with_its_type_is_refused(kind: ColumnType, values: pa.Array) -> None:
    with pytest.raises(DataRejected, match=f"'x' is .*, but the table's is {kind}"):
        parquet(kind, values)


@settings(deadline=None)
@given(st.integers(-(2**64), 2**64))
@example(2**53 + 1)
def test_a_whole_number_reads_the_same_from_every_format(number: int) -> None:
    for kind in ("int64", "float64"):
        from_json = json_values(kind, number)
        assert texts(kind, str(number)) == from_json
        if -(2**63) <= number < 2**63:
            assert parquet(kind, pa.array([number], pa.int64())) == from_json
        assert parquet(kind, pa.array([Decimal(number)], pa.decimal128(38, 2)))[0] in {from_json[0], ...}


@settings(deadline=None)
@given(st.floats())
def test_a_float_reads_the_same_from_every_format(number: float) -> None:
    found = parquet("float64", pa.array([number]))
    assert json_values("float64", number) == found
    assert texts("float64", repr(number)) == found
