"""Files that were bent, lost or in the way of others, as they were reported, each with its right outcome.

What they stand for is tested without the files in `test_landed_faults`, `test_labels`,
`tests/unit/gateway/test_value_types` and `tests/unit/monitoring/test_drift`.
"""

import json
import os
import re
import subprocess
import time

import duckdb
import pytest

from tasks.contracts import FileOutcome
from tasks.data import csv_reader, landed_rows
from tests.conftest import PROJECT
from tests.unit.tables import Door, MakeDoor

CASES = PROJECT.parent / "shared" / "cases"
HALF = {"maximum_bad_share": 0.5}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the reported files are not on this machine")


def table_of(case: str, door: MakeDoor) -> Door:
    declared = json.loads((CASES / case / "table.json").read_text())
    return door(declared.get("expectations"), {"key": declared["key"]}, **declared["columns"])


def land(case: str, table: Door, day: str = "1") -> dict[str, FileOutcome]:
    """What becomes of each file of a day."""
    for file in (CASES / case / day).iterdir():
        if file.suffix == ".sh":
            table.land("first.csv.part", "")
            subprocess.run(["sh", str(file)], cwd=table.folder.path, check=True)
        else:
            table.land(file.name, file.read_bytes())
    return {outcome.file: outcome for outcome in table.ingest().files}


def test_a_line_beyond_the_csv_readers_limit_refuses_its_file_alone(door: MakeDoor) -> None:
    table = table_of("01-first-line-beyond-csv-limit", door)
    found = land("01-first-line-beyond-csv-limit", table)
    assert (found["wide.csv"].status, found["good.csv"].status) == ("refused", "published")
    assert (table.waiting(), table.rows("id", "n")) == ([], [("r1", 1)])


def test_eighty_gigabytes_are_refused_by_their_size(door: MakeDoor) -> None:
    table = table_of("03-huge-file", door)
    started = time.monotonic()
    found = land("03-huge-file", table)
    assert "81,920 MiB; at most 1024 MiB are read" in (found["huge.csv"].reason or "")
    assert (found["small.csv"].status, time.monotonic() - started < 30) == ("published", True)


def test_backslashes_before_quotes_never_change_a_text(door: MakeDoor) -> None:
    case = "04-backslash-quotes"
    table = table_of(case, door)
    refused = land(case, table)["quotes.csv"]
    assert (refused.status, table.rows("id")) == ("refused", [])
    table.land("quotes.csv", (CASES / case / "1" / "quotes.csv").read_bytes())
    assert table.outcome(**HALF).quarantined_rows == 2
    assert table.rows("id", "text") == [("r1", "plain"), ("r4", "fine, too")]
    assert table.quarantined() == dict.fromkeys((2, 3), landed_rows.READABLE)


def test_a_flipped_bit_is_damage(door: MakeDoor) -> None:
    table = table_of("07-page-checksum", door)
    found = land("07-page-checksum", table)["flipped.parquet"]
    assert (found.status, table.rows("n")) == ("refused", [])
    assert re.search(r"damaged or cut off", found.reason or "")


def test_two_days_files_of_one_name_are_both_kept(door: MakeDoor) -> None:
    case = "09-refused-twice-same-name"
    table = table_of(case, door)
    assert [land(case, table, day)["daily.csv"].status for day in ("1", "2")] == ["refused", "refused"]
    landed = {(CASES / case / day / "daily.csv").read_bytes() for day in ("1", "2")}
    assert set(table.refused().values()) == landed


def test_a_slow_writers_file_waits_until_it_is_whole(door: MakeDoor) -> None:
    columns = {"written_at": "timestamp", "source": "string", "text": "string", "label": "int64"}
    there = {"type": "expect_column_to_exist", "kwargs": {"column": "label"}}
    table = door([there], {"key": "review_id"}, review_id="string", **columns)
    path = table.land("first.csv.part", "").parent
    script = (CASES / "10-slow-writer" / "write.sh").read_text().replace("sleep 40", "sleep 3")
    with subprocess.Popen(["sh", "-c", script, "write.sh", path.path]):
        while not (path / "slow.csv").exists() or (path / "slow.csv").stat().st_size == 0:
            time.sleep(0.01)
        assert table.ingest().files == ()
    os.utime((path / "slow.csv").path, (0, 0))
    assert table.outcome().published_rows == 20


def test_an_exact_copy_of_a_line_joins_once(door: MakeDoor) -> None:
    table = table_of("13-exact-duplicates", door)
    found = land("13-exact-duplicates", table)["twice.csv"]
    assert (found.published_rows, found.repeated_rows, found.quarantined_rows) == (3, 1, 0)
    assert table.rows("id", "n") == [("r1", 1), ("r2", 2), ("r3", 3)]


def test_two_large_numbers_beside_a_null_stay_two(door: MakeDoor) -> None:
    table = table_of("16-big-ids-beside-a-null", door)
    assert land("16-big-ids-beside-a-null", table)["accounts.csv"].published_rows == 5
    assert table.rows("account") == [9007199254740992, 9007199254740993, None, 5, 6]


def test_blank_lines_are_no_rows_and_a_footer_or_an_array_is_called_so(door: MakeDoor) -> None:
    table = table_of("23-blank-lines-of-a-spreadsheet", door)
    found = land("23-blank-lines-of-a-spreadsheet", table)
    assert (found["sheet.csv"].status, found["sheet.csv"].published_rows) == ("published", 4)
    assert re.search("footer", found["psql.csv"].reason or "")
    assert re.search("one JSON array", found["array.jsonl"].reason or "")


def test_a_want_of_memory_keeps_the_file_waiting(door: MakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of("24-machine-fault-called-damage", door)
    table.land("rows.csv", (CASES / "22-comment-at-the-end-of-the-query" / "1" / "rows.csv").read_bytes())

    def fail(*_: object) -> None:
        raise duckdb.OutOfMemoryException("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(csv_reader, "from_text", fail)
        with pytest.raises(duckdb.OutOfMemoryException):
            table.ingest()
    assert table.waiting() == ["rows.csv"]
    assert table.outcome().published_rows == 2
