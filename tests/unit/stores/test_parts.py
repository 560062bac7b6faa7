"""A part that is not what was frozen is told by its name; a store that fails is tried again."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import SnapshotPart
from tasks.errors import FrozenSetMismatch
from tasks.stores import files
from tasks.stores.parts import fetch_part, read_part
from tasks.stores.row_hash import sha256_of_rows


@pytest.fixture
def part(tmp_path: Path) -> SnapshotPart:
    rows = pa.table({"id": [f"r{number}" for number in range(1000)]})
    pq.write_table(rows, tmp_path / "test.parquet")
    return SnapshotPart(url=str(tmp_path / "test.parquet"), rows=1000, sha256=sha256_of_rows(rows))


def test_a_part_is_read_and_fetched_as_it_was_frozen(part: SnapshotPart, tmp_path: Path) -> None:
    assert read_part(part).num_rows == 1000
    assert fetch_part(part, tmp_path / "here" / "test.parquet").read_bytes() == Path(part.url).read_bytes()


def broken(whole: bytes, how: str) -> bytes:
    middle = len(whole) // 3
    return {
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "not Parquet": b"<html>Not here.</html>",
        "spoilt in the middle": whole[:middle] + b"!" * 100 + whole[middle + 100 :],
    }[how]


@pytest.mark.parametrize("how", ["empty", "cut off", "not Parquet", "spoilt in the middle"])
def test_a_broken_part_is_named_with_what_to_do(part: SnapshotPart, tmp_path: Path, how: str) -> None:
    Path(part.url).write_bytes(broken(Path(part.url).read_bytes(), how))
    for read in (lambda: read_part(part), lambda: fetch_part(part, tmp_path / "here.parquet")):
        with pytest.raises(FrozenSetMismatch, match=r"test\.parquet .*Restore it, or start a new training"):
            read()


def test_a_missing_part_is_named_with_what_to_do(part: SnapshotPart, tmp_path: Path) -> None:
    Path(part.url).unlink()
    for read in (lambda: read_part(part), lambda: fetch_part(part, tmp_path / "here.parquet")):
        with pytest.raises(FrozenSetMismatch, match=r"There is no file .*test\.parquet, but .* 1000 rows"):
            read()


class NoSuchBucket(Exception):
    """As botocore says it."""

    __module__ = "botocore.errorfactory"


def no_bucket() -> FileNotFoundError:
    error = FileNotFoundError("The specified bucket does not exist")
    error.__cause__ = NoSuchBucket("NoSuchBucket")
    return error


@pytest.mark.parametrize("fault", [OSError(5, "Input/output error"), ConnectionError("reset"), no_bucket()])
def test_a_fault_of_the_store_or_the_machine_is_not_one_of_the_part(
    part: SnapshotPart, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    def fetch(*_: Any) -> Path:
        raise fault

    monkeypatch.setattr(files, "fetch", fetch)
    with pytest.raises(type(fault)) as raised:
        read_part(part)
    assert raised.value is fault
