"""The lake forgets nothing, doubles nothing, and shows each version as it was."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from upath import UPath

from tasks.errors import InvalidQuery, LakeError
from tasks.stores import lake_history
from tasks.stores.lake import Lake, rows_of
from tasks.stores.lake_rows import Stream

COLUMNS = {"id": "string", "n": "int64", "share": "float64", "yes": "bool", "at": "timestamp", "day": "date"}

APPENDING = """
import sys
import pyarrow as pa
from tasks.stores.lake import Lake, rows_of
from tasks.stores.lake_rows import Stream
lake, who = Lake(sys.argv[1]), sys.argv[2]
for number in range(5):
    lake.append("events", pa.table({"who": [who], "number": [number]}), batch_id=f"{who}-{number}")
    lake.append("events", pa.table({"who": ["shared"], "number": [number]}), batch_id=f"shared-{number}")
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "deep" / "lake"))


def rows(*ids: str) -> pa.Table:
    return pa.table({"id": list(ids)})


def ids(table: pa.Table) -> list[str]:
    return sorted(table.column("id").to_pylist())


def three_versions(lake: Lake) -> list[datetime]:
    """Three commits, and when each was made."""
    for name in ("a", "b", "c"):
        lake.append("events", rows(name), batch_id=name)
        time.sleep(0.005)
    return [lake.committed_at("events", version) for version in (1, 2, 3)]


def test_every_type_comes_back_as_it_was_appended_with_its_batch_and_time(lake: Lake) -> None:
    lake.create("events", COLUMNS)
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
    row = {"id": "é\n\"'", "n": -(2**63), "share": 0.1, "yes": True, "at": at, "day": date(2026, 3, 1)}
    empty = dict.fromkeys(row)
    before = datetime.now(UTC)

    lake.append("events", pa.Table.from_pylist([row, empty]), batch_id="one")

    first, second = sorted(lake.read("events").to_pylist(), key=lambda found: found["id"] is None)
    assert {name: first[name] for name in row} == row
    assert {name: second[name] for name in row} == empty
    assert first["batch_id"] == second["batch_id"] == "one"
    assert before <= first["ingested_at"] <= datetime.now(UTC)


def test_a_table_made_again_with_other_columns_is_an_error_that_shows_both(lake: Lake) -> None:
    lake.create("events", {"id": "string"})
    lake.create("events", {"id": "string"})
    with pytest.raises(LakeError, match=r"'id': 'string'.*'id': 'int64'"):
        lake.create("events", {"id": "int64"})


def test_rows_that_do_not_fit_the_table_are_refused_and_nothing_is_written(lake: Lake) -> None:
    lake.create("events", {"id": "string", "n": "int64"})
    for misfit in (
        {"id": ["a"], "n": [1], "more": [1]},
        {"id": ["a"], "n": ["one"]},
        {"id": ["a"], "n": [1.5]},
    ):
        with pytest.raises(LakeError, match="events"):
            lake.append("events", pa.table(misfit), batch_id="misfit")
    assert lake.latest("events") == 0


def test_a_table_gains_a_column_and_its_older_rows_have_null_in_it(lake: Lake) -> None:
    lake.create("events", {"id": "string"})
    lake.append("events", rows("old"), batch_id="old")
    lake.create("events", {"id": "string", "n": "int64"})
    lake.widen("events", pa.schema([("n", pa.int64()), ("note", pa.string())]))
    lake.append("events", pa.table({"id": ["new"], "n": [1], "note": ["x"]}), batch_id="new")
    lake.append("events", rows("narrow"), batch_id="narrow")

    assert lake.columns("events") == {"id": "string", "n": "int64", "note": "string"}
    found = {row["id"]: (row["n"], row["note"]) for row in lake.read("events").to_pylist()}
    assert found == {"old": (None, None), "new": (1, "x"), "narrow": (None, None)}
    assert lake.read("events", version=1).column_names == ["id", "ingested_at", "batch_id"]
    assert lake.query("SELECT id FROM events WHERE n = 1", ["events"]).to_pylist() == [{"id": "new"}]


def test_processes_that_widen_a_table_at_once_add_each_column_once(lake: Lake) -> None:
    lake.create("events", {"id": "string"})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: lake.widen("events", pa.schema([(f"c{n % 2}", pa.int64())])), range(8)))
    assert lake.columns("events") == {"id": "string", "c0": "int64", "c1": "int64"}


def test_rows_that_are_streamed_are_appended_once_and_held_to_the_table_s_types(lake: Lake) -> None:
    def batches() -> list[pa.RecordBatch]:
        return rows("a", "b").to_batches(1)

    lake.append("events", Stream(rows("a").schema, batches), batch_id="one")
    lake.append("events", Stream(rows("a").schema, batches), batch_id="one")
    assert ids(lake.read("events")) == ["a", "b"]
    with pytest.raises(LakeError, match="type"):
        lake.append("events", Stream(pa.schema([("id", pa.int64())]), batches), batch_id="two")


@pytest.mark.parametrize("name", ["../elsewhere", "Events", "", "a/b", "a" * 200, "s3://other"])
def test_a_table_s_name_cannot_lead_elsewhere(lake: Lake, name: str) -> None:
    with pytest.raises(LakeError, match="name"):
        lake.append(name, rows("a"), batch_id="a")


def test_a_missing_table_and_a_missing_version_are_errors_that_say_so(lake: Lake) -> None:
    assert not lake.exists("events")
    with pytest.raises(LakeError, match=r"no table 'events'.*Ingest"):
        lake.read("events")
    lake.create("events", {"id": "string"})
    with pytest.raises(LakeError, match="no version 7"):
        lake.read("events", version=7)
    with pytest.raises(LakeError, match="no version 7"):
        lake.committed_at("events", 7)


def test_a_retried_append_writes_once(lake: Lake) -> None:
    version = lake.append("events", rows("a"), batch_id="one")
    assert lake.append("events", rows("a"), batch_id="one") == version
    assert lake.append("events", rows("b"), batch_id="one", app_version=2) == version + 1
    assert lake.append("events", rows("late"), batch_id="one", app_version=1) == version + 1

    assert ids(lake.read("events")) == ["a", "b"]
    assert lake.app_version("events", "one") == 2
    assert lake.app_version("events", "other") is None
    assert lake.app_version("nothing", "one") is None


def test_a_column_of_nothing_but_nulls_makes_and_fits_a_table(lake: Lake) -> None:
    nothing = pa.table({"id": ["a"], "score": pa.nulls(1)})
    lake.append("events", nothing, batch_id="a")
    lake.create("scored", {"id": "string", "score": "float64"})
    lake.append("scored", nothing, batch_id="a")
    assert lake.read("scored").column("score").to_pylist() == [None]


def test_processes_that_append_at_once_lose_nothing_and_double_nothing(lake: Lake) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", APPENDING, lake.url, str(number)]) for number in range(3)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]

    found = [(row["who"], row["number"]) for row in lake.read("events").to_pylist()]
    assert sorted(found) == sorted((who, number) for who in ("0", "1", "2", "shared") for number in range(5))


def test_a_time_shows_the_version_that_a_reader_saw_then(lake: Lake) -> None:
    first, second, third = three_versions(lake)
    assert lake.version_at("events", second) == 2
    assert lake.version_at("events", third - timedelta(milliseconds=1)) == 2
    assert lake.version_at("events", third + timedelta(days=1)) == 3
    assert ids(lake.read("events", lake.version_at("events", first))) == ["a"]


def test_time_travel_survives_a_copy_and_touched_files(lake: Lake, tmp_path: Path) -> None:
    _, second, _ = three_versions(lake)
    shutil.copytree(lake.url, tmp_path / "copy", copy_function=shutil.copyfile)
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (0, 0))
    copied = Lake(str(tmp_path / "copy"))
    assert copied.version_at("events", second) == 2
    assert ids(copied.read("events", 2)) == ["a", "b"]


def test_a_time_before_the_first_commit_or_without_a_zone_is_an_error(lake: Lake) -> None:
    three_versions(lake)
    created = lake.committed_at("events", 0)
    with pytest.raises(LakeError, match="did not exist"):
        lake.version_at("events", created - timedelta(milliseconds=1))
    with pytest.raises(LakeError, match="no time zone"):
        lake.version_at("events", datetime(2030, 1, 1))  # noqa: DTZ001 - the clumsy caller


def test_a_writer_whose_clock_is_behind_does_not_hide_the_commit_before_it(lake: Lake) -> None:
    _, second, third = three_versions(lake)
    log = Path(lake.url) / "events" / "_delta_log" / f"{2:020}.json"
    late = str(int((third + timedelta(hours=1)).timestamp() * 1000))
    log.write_text(log.read_text().replace(str(int(second.timestamp() * 1000)), late))

    assert lake.version_at("events", third + timedelta(minutes=1)) == 1
    assert lake.version_at("events", third + timedelta(hours=2)) == 3


@pytest.mark.parametrize("is_of_earlier_perennial", [False, True])
def test_the_row_that_came_last_counts_though_the_clock_went_back(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, is_of_earlier_perennial: bool
) -> None:
    def at(year: int) -> None:
        now = {"now": classmethod(lambda cls, tz: cls(year, 1, 1, tzinfo=tz))}
        monkeypatch.setattr(lake_history, "datetime", type("Clock", (datetime,), now))

    def newest() -> list[int]:
        query = "SELECT n FROM events"
        return lake.query(query, ["events"], newest_by={"events": "k"})["n"].to_pylist()

    at(2090)
    lake.append("events", pa.table({"k": ["a"], "n": [0]}), batch_id="z")
    if is_of_earlier_perennial:  # whose commits do not say the time of their rows, and were made after it
        log = Path(lake.url) / "events" / "_delta_log" / f"{1:020}.json"
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for commit in (line["commitInfo"] for line in lines if "commitInfo" in line):
            del commit["ingested_at"]
            commit["timestamp"] = 3786912000000
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for n, year in enumerate([2020, 2095, 2001, *[2001] * 8], start=1):
        at(year)
        lake.append("events", pa.table({"k": ["a"], "n": [n]}), batch_id=f"b{n}")
        assert newest() == [n]

    times = lake.read("events", columns=["n", "ingested_at"]).sort_by("n")["ingested_at"].to_pylist()
    assert times == sorted(set(times))
    assert times[2].year == 2095, "a clock that goes forwards is believed"


def test_rows_join_after_the_commit_before_them(lake: Lake) -> None:
    """Rows since a version are those that are later than it."""
    lake.append("events", rows("a"), batch_id="a")
    before = lake.committed_at("events", 1)
    lake.append("events", rows("b"), batch_id="b")
    assert lake.read("events", where_sql="batch_id = 'b'")["ingested_at"].to_pylist()[0] > before


def test_history_older_than_a_month_is_there_after_a_checkpoint_and_a_cleanup(lake: Lake) -> None:
    three_versions(lake)
    old = time.time() - 90 * 86_400
    for path in Path(lake.url).rglob("*.json"):
        os.utime(path, (old, old))
    delta = DeltaTable(f"{lake.url}/events")
    delta.create_checkpoint()
    delta.cleanup_metadata()
    assert [len(lake.read("events", version)) for version in range(4)] == [0, 1, 2, 3]
    assert lake.append("events", rows("a"), batch_id="a") == 3


def test_rows_cannot_be_deleted(lake: Lake) -> None:
    lake.append("events", rows("a"), batch_id="a")
    with pytest.raises(CommitFailedError, match="append-only"):
        DeltaTable(f"{lake.url}/events").delete()


def test_a_query_sees_the_versions_that_were_pinned_under_the_names_that_were_given(lake: Lake) -> None:
    three_versions(lake)
    found = lake.query(
        "SELECT id FROM now EXCEPT SELECT id FROM before", {"now": ("events", None), "before": ("events", 2)}
    )
    assert ids(found) == ["c"]
    assert ids(lake.read("events", columns=["id"], where_sql="id > 'a' AND ingested_at > '2020-01-01'")) == [
        "b",
        "c",
    ]
    assert len(lake.query("SELECT * FROM events", ["events"])) == 3


def test_of_rows_with_the_same_key_the_one_ingested_last_is_shown(lake: Lake) -> None:
    for batch, value in (("first", 1), ("second", 2)):
        lake.append("events", pa.table({"id": ["a", None], "n": [value, value]}), batch_id=batch)
    lake.append("events", pa.table({"id": ["b", "b"], "n": [5, 4]}), batch_id="third")
    found = lake.query(
        "SELECT id, n FROM events ORDER BY id, n", {"events": ("events", None)}, newest_by={"events": "id"}
    )
    assert [(row["id"], row["n"]) for row in found.to_pylist()] == [("a", 2), ("b", 4), (None, 1), (None, 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        "COPY events TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "DROP VIEW events",
        "SELECT * FROM sql",
        "SELEC",
        "",
        "SELECT nothing FROM events",
        "SELECT CAST(id AS INTEGER) FROM events",
    ],
)
def test_a_query_that_is_wrong_or_reaches_beyond_its_tables_is_refused(lake: Lake, sql: str) -> None:
    lake.append("events", rows("a"), batch_id="a")
    with pytest.raises(InvalidQuery, match="query"):
        lake.query(sql, ["events"])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM events",
        "SELECT id FROM events;",
        "SELECT id FROM events -- every one",
        "SELECT id FROM events; -- every one",
        "SELECT id FROM events /* ; */ ; /* \n */",
        "-- first\nSELECT id, 'it''s; -- this' AS said FROM events WHERE id <> ';'\n",
        "WITH few AS (SELECT id FROM events) SELECT * FROM few ORDER BY id LIMIT 2",
        "(SELECT id FROM events) UNION ALL (SELECT id FROM events) -- twice",
    ],
)
def test_a_query_inside_another_one_gives_the_rows_that_it_gives_alone(lake: Lake, query: str) -> None:
    for name in ("a", "b", "c"):
        lake.append("events", rows(name), batch_id=name)
    alone = lake.query(query, ["events"])
    assert lake.query(f"SELECT * FROM {rows_of(query)}", ["events"]).equals(alone)
    assert lake.query(f"SELECT count(*) AS n FROM {rows_of(query)}", ["events"])["n"][0].as_py() == len(alone)


def test_a_query_s_order_does_not_change_with_a_checkpoint(lake: Lake) -> None:
    three_versions(lake)
    before = lake.query("SELECT id FROM events LIMIT 2", ["events"])
    lake._open("events").create_checkpoint()
    assert lake.query("SELECT id FROM events LIMIT 2", ["events"]).equals(before)


def test_an_object_store_s_url_is_the_same_to_the_lake(tmp_path: Path) -> None:
    lake = Lake(UPath(tmp_path / "by url").as_uri())
    lake.append("events", rows("a"), batch_id="a")
    lake.append("events", rows("a"), batch_id="a")
    assert ids(lake.query("SELECT id FROM events", ["events"])) == ["a"]
    assert lake.version_at("events", datetime.now(UTC) + timedelta(seconds=1)) == 1
