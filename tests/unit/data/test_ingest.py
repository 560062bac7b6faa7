"""Whatever lands and whatever is killed: each good row
joins once, each other row or file is kept with the reason.
"""

import csv
import gzip
import io
import json
import os
import random
import re
import shutil
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import FileOutcome, IngestRequest, IngestResult
from tasks.data.ingest import ingest
from tasks.data.landing import Arrival, Landing
from tasks.errors import InvalidProject, InvalidRequest, LakeError
from tasks.settings import settings
from tasks.spec import TableSpec
from tasks.stores import files
from tasks.stores.lake import Lake
from tests.unit import ingest_child
from tests.unit.reviews import (
    TABLE,
    as_table,
    context,
    ingested,
    json_lines,
    land,
    landing_folder,
    review,
    reviews,
)

KILLS = [
    "before tasks.data.staging.Staging.close",
    "after tasks.data.staging.Staging.close",
    "before tasks.stores.files.create_whole",
    "after tasks.data.landing.Landing.stage",
    "before tasks.stores.lake.write_deltalake 1",
    "after tasks.stores.lake.write_deltalake 1",
    "before tasks.stores.lake.write_deltalake 2",
    "after tasks.stores.lake.write_deltalake 2",
    "before tasks.data.landing.Landing.archive",
    "after tasks.data.landing.Landing._put_away 1",
    "after tasks.data.landing.Landing.archive",
    "before tasks.data.landing.Landing.refuse",
    "before tasks.data.landing.Landing._put_away 2",
    "after tasks.data.landing.Landing._put_away 2",
]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(TABLE.columns))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def keys(table: str = "reviews") -> list[str]:
    lake = Lake()
    column = "review_id" if table == "reviews" else "row"
    return sorted(lake.read(table).column(column).to_pylist()) if lake.exists(table) else []


def expected(count: int, first: int = 0) -> list[str]:
    return sorted(f"r{number}" for number in range(first, first + count))


def refused(home: Path) -> dict[str, str]:
    """The reason of each refused file that lies where it should."""
    folder = landing_folder() / ".refused"
    names = [entry.name for entry in files.entries(folder) if entry.name.endswith(".reason.json")]
    reasons = [json.loads((folder / name).read_text()) for name in names]
    return {reason["file"]: reason["reason"] for reason in reasons if (folder / reason["file"]).exists()}


def waiting(home: Path) -> list[str]:
    return sorted(entry.name for entry in files.entries(landing_folder()) if entry.is_file)


def only(result: IngestResult) -> FileOutcome:
    (outcome,) = result.files
    return outcome


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", as_csv(reviews(30))),
        ("a.csv.gz", gzip.compress(as_csv(reviews(30)))),
        ("a.jsonl", json_lines(reviews(30))),
        ("a.ndjson.gz", gzip.compress(json_lines(reviews(30)))),
        ("a.parquet", as_parquet(as_table(reviews(30)))),
        ("a.PARQUET.GZ", gzip.compress(as_parquet(as_table(reviews(30))))),
        ("with\ufeffmark.csv", b"\xef\xbb\xbf" + as_csv(reviews(30)).replace(b"\r\n", b"\n")),
        ("from pandas.parquet", as_parquet(pa.Table.from_pandas(pd.DataFrame(reviews(30))))),
    ],
)
def test_each_kind_of_file_gives_the_same_rows(home: Path, name: str, content: bytes) -> None:
    land(home, name, content)
    result = ingested(home)
    assert (only(result).status, result.published_rows, result.quarantined_rows) == ("published", 30, 0)
    found = Lake().read("reviews", columns=list(TABLE.columns))
    assert found.sort_by("written_at").equals(as_table(reviews(30)))
    assert waiting(home) == []
    assert list((landing_folder() / ".archive").rglob(name))


def test_single_bad_rows_go_to_quarantine_with_what_they_broke(home: Path) -> None:
    bad = [
        review(100, label=7),
        review(101, text=""),
        review(102, label="many"),
        review(103, written_at="2026-02-30"),
        review(104),
        review(104, text="Again."),
        review(105, review_id=None),
    ]
    land(
        home,
        "a.jsonl",
        json_lines(reviews(50)) + b"{broken\n[1]\n" + json_lines(bad) + json_lines(reviews(50, 50)),
    )

    result = ingested(home, maximum_bad_share=0.1)

    assert (result.published_rows, result.quarantined_rows) == (100, 9)
    assert keys() == expected(100)
    rows = {row["row_number"]: row for row in Lake().read("reviews__quarantine").to_pylist()}
    broke = {number: row["expectation"] for number, row in rows.items()}
    assert broke == {
        51: "row_is_readable",
        52: "row_is_readable",
        53: "expect_column_values_to_be_in_set",
        54: "expect_column_value_lengths_to_be_between, expect_column_values_to_match_regex",
        55: "values_have_the_columns_types",
        56: "values_have_the_columns_types",
        57: "key_is_there_once",
        58: "key_is_there_once",
        59: "key_is_there_once",
    }
    assert json.loads(rows[53]["row"]) == bad[0]
    assert json.loads(rows[51]["row"]) == "{broken"
    assert rows[55]["reason"] == 'label is not of type int64: "many".'
    assert {row["file"] for row in rows.values()} == {"a.jsonl"}
    assert {row["batch_id"] for row in rows.values()} == {only(result).batch_id}


def test_a_csv_row_with_too_few_values_is_quarantined_at_its_place(home: Path) -> None:
    content = (
        as_csv([review(0, text='A "quoted",\nbroken line')])
        + b"r1,too,few\r\n"
        + as_csv(reviews(5, 2)).split(b"\r\n", 1)[1]
    )
    land(home, "a.csv", content)
    assert ingested(home, maximum_bad_share=0.2).published_rows == 6
    (row,) = Lake().read("reviews__quarantine").to_pylist()
    assert (row["row_number"], json.loads(row["row"]), row["expectation"]) == (
        2,
        "r1,too,few",
        "row_is_readable",
    )


def test_an_empty_value_is_null_and_a_quoted_empty_one_is_text(home: Path) -> None:
    header = b"review_id,written_at,source,text,label\n"
    rows = b'r%d,2026-01-01 00:00,imdb,"Fine.",\nq%d,2026-01-01T01:00:00+02:00,"",Fine.,1.0\n'
    land(home, "a.csv", header + b"".join(rows % (number, number) for number in range(3)))
    assert ingested(home).published_rows == 6
    first, second = (
        Lake()
        .query("SELECT * FROM reviews WHERE review_id IN ('r0', 'q0') ORDER BY 1 DESC", ["reviews"])
        .to_pylist()
    )
    assert (first["source"], first["label"], first["written_at"]) == (
        "imdb",
        None,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert (second["source"], second["label"], second["written_at"]) == (
        "",
        1,
        datetime(2025, 12, 31, 23, tzinfo=UTC),
    )


GOOD_CSV = as_csv(reviews(20))
GOOD_PARQUET = as_parquet(as_table(reviews(20)))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", as_csv([]), "no rows"),
        ("a.jsonl", b"\n \n", "no rows"),
        ("a.parquet", as_parquet(as_table([])), "no rows"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.csv.gz", gzip.compress(GOOD_CSV)[:-9], "cannot be unpacked.*cut off"),
        ("a.csv.gz", GOOD_CSV, "cannot be unpacked"),
        ("a.parquet", GOOD_PARQUET[:-20], "cannot be read as Parquet.*cut off"),
        ("a.parquet", GOOD_PARQUET[:100] + bytes(200) + GOOD_PARQUET[300:], "cannot be read"),
        ("a.parquet", GOOD_CSV, "cannot be read as Parquet"),
        ("a.parquet", b"PARE" + bytes(99) + b"PARE", "It is encrypted; land it as it is without that"),
        ("a.csv", GOOD_PARQUET, "not UTF-8"),
        ("a.csv", GOOD_CSV.decode().encode("utf-16"), "not UTF-8"),
        ("a.csv", as_csv([review(0, text="caf\u00e9")]).decode().encode("latin-1"), "not UTF-8.*0xe9"),
        (
            "a.csv",
            GOOD_CSV + b'r99,2026-01-01,imdb,"A film that',
            "or a quote opens a value and none closes it",
        ),
        ("a.csv", GOOD_CSV + b"r99,2026-01-01,im", "middle of a row"),
        ("a.jsonl", json_lines(reviews(20)) + b'{"review_id": "r9', "broken line, 21"),
        ("a.csv", GOOD_CSV.replace(b"label", b"lable"), r"lacks \['label'\] and adds \['lable'\]"),
        ("a.csv", GOOD_CSV.replace(b"source", b"text"), r"lacks \['source'\] and has twice \['text'\]"),
        ("a.csv", GOOD_CSV.replace(b",", b";"), "values are not comma-separated. Write it with commas"),
        ("a.jsonl", json_lines([{"review_id": "a"}]), "lacks"),
        ("a.parquet", as_parquet(as_table(reviews(5)).append_column("extra", pa.array([1] * 5))), "adds"),
        (
            "a.parquet",
            as_parquet(pa.table({**dict.fromkeys(TABLE.columns, pa.array(["a"])), "label": [[1]]})),
            "'label' is list",
        ),
        ("a.xlsx", b"PK", "kind of file is unknown"),
        ("reviews", GOOD_CSV, "kind of file is unknown"),
        (
            "a.jsonl",
            json_lines([review(number, label="x") for number in range(9)]),
            "9 of 9 rows are bad, more than the 5.00%.*row 1: label is not of type int64",
        ),
        (
            "a.jsonl",
            json_lines([review(number, label=number % 3) for number in range(9)]),
            "breaks the suite.*label: 3 of 9",
        ),
    ],
)
def test_a_fault_of_the_whole_file_refuses_it_and_says_why(
    home: Path, name: str, content: bytes, said: str
) -> None:
    path = land(home, name, content)
    outcome = only(ingested(home))
    assert (outcome.status, outcome.published_rows, outcome.quarantined_rows) == ("refused", 0, 0)
    assert re.search(said, str(outcome.reason))
    assert refused(home) == {name: outcome.reason}
    assert (path.parent / ".refused" / name).read_bytes() == content
    assert (waiting(home), keys(), keys("reviews__quarantine")) == ([], [], [])


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"review_id": "\\ud800"}',
        b'{"review_id": NaN}',
        b'{"review_id": "a", "review_id": "b"}',
        json.dumps(review(9, label=10**400)).encode(),
        json.dumps(review(9, label=True)).encode(),
        json.dumps(review(9, label=2**63)).encode(),
        json.dumps(review(9, text={"a": 1})).encode(),
        json.dumps(review(9, extra=1)).encode(),
        json.dumps(review(9, written_at="infinity")).encode(),
        json.dumps(review(9, written_at=5)).encode(),
        b"\x00",
    ],
)
def test_a_hostile_line_is_quarantined_and_keeps_no_other_row(home: Path, line: bytes) -> None:
    land(home, "a.jsonl", json_lines(reviews(3)) + line + b"\n" + json_lines(reviews(3, 3)))
    result = ingested(home, maximum_bad_share=0.2)
    assert (result.published_rows, result.quarantined_rows) == (6, 1)
    assert keys() == expected(6)


def test_one_bad_file_keeps_no_other(home: Path) -> None:
    land(home, "a.jsonl", b"{")
    land(home, "b.jsonl", json_lines(reviews(5)))
    land(home, "c.csv", b"\xff")
    result = ingested(home)
    assert [outcome.status for outcome in result.files] == ["refused", "published", "refused"]
    assert (keys(), set(refused(home))) == (expected(5), {"a.jsonl", "c.csv"})


def test_the_same_content_is_refused_whatever_its_name_or_packing(home: Path) -> None:
    land(home, "a.csv", GOOD_CSV)
    batch = only(ingested(home, "one")).batch_id
    land(home, "a.csv", GOOD_CSV)
    land(home, "b.csv.gz", gzip.compress(GOOD_CSV))
    for outcome in ingested(home, "two").files:
        assert (outcome.status, outcome.batch_id) == ("refused", batch)
        assert f"same content as a.csv, which was ingested as the batch {batch}" in str(outcome.reason)
    assert keys() == expected(20)


def test_the_same_content_is_refused_after_the_archive_was_emptied(home: Path) -> None:
    path = land(home, "a.csv", GOOD_CSV)
    ingested(home, "one")
    shutil.rmtree(path.parent / ".archive")
    land(home, "a.csv", GOOD_CSV)
    assert "ingested before" in str(only(ingested(home, "two")).reason)
    assert keys() == expected(20)


def test_files_that_are_not_finished_or_not_files_are_left_alone(home: Path) -> None:
    path = land(home, ".a.csv.part", GOOD_CSV)
    (path.parent / "folder.csv").mkdir()
    assert ingested(home).files == ()
    assert path.exists()
    assert ingested(home).table_version is None


def test_only_the_files_that_were_named_are_taken(home: Path) -> None:
    land(home, "a.jsonl", json_lines(reviews(5)))
    land(home, "b.jsonl", json_lines(reviews(5, 5)))
    result = ingested(home, "one", ("b.jsonl",))
    assert [outcome.file for outcome in result.files] == ["b.jsonl"]
    assert waiting(home) == ["a.jsonl"]


def test_a_named_file_that_is_not_there_is_told_once_the_others_are_settled(home: Path) -> None:
    land(home, "a.jsonl", json_lines(reviews(5)))
    with pytest.raises(InvalidRequest, match=r"no c\.jsonl, d\.jsonl in the landing folder of 'reviews'"):
        ingested(home, "one", ("c.jsonl", "a.jsonl", "d.jsonl"))
    assert len(keys()) == 5
    assert waiting(home) == []
    assert ingested(home, "one", ("a.jsonl",)).published_rows == 5, (
        "a retry finds what its earlier try settled"
    )


@pytest.mark.parametrize(
    "name", ["../other/a.csv", ".archive/a.csv", "/etc/passwd", ".hidden.csv", "..\\a.csv"]
)
def test_a_name_that_leads_out_of_the_landing_folder_is_an_error(home: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="landed file"):
        ingested(home, "one", (name,))


def test_names_that_are_long_or_not_text_are_settled_too(home: Path) -> None:
    folder = land(home, "é" * 120 + ".jsonl", b"{").parent
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jsonl")).write_bytes(json_lines(reviews(5)))
    result = ingested(home)
    assert sorted(outcome.status for outcome in result.files) == ["published", "refused"]
    assert (waiting(home), keys(), len(refused(home))) == ([], expected(5), 1)


def test_a_wrong_suite_keeps_every_file_waiting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_SUITES", str(home / "nowhere"))
    settings.cache_clear()
    land(home, "a.jsonl", json_lines(reviews(5)))
    with pytest.raises(InvalidProject, match=r"reviews\.json"):
        ingested(home)
    assert (waiting(home), keys()) == (["a.jsonl"], [])
    monkeypatch.delenv("PERENNIAL_SUITES")
    settings.cache_clear()
    assert ingested(home).published_rows == 5


def test_a_table_with_other_columns_keeps_every_file_waiting(home: Path) -> None:
    land(home, "a.jsonl", json_lines(reviews(5)))
    Lake().create("reviews", {"review_id": "int64"})
    with pytest.raises(LakeError, match="columns"):
        ingested(home)
    assert waiting(home) == ["a.jsonl"]


def test_a_file_of_nothing_but_tolerated_rows_is_empty(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suites = home / "suites"
    (suites / "expectations").mkdir(parents=True)
    configuration = settings().suites / "great_expectations.yml"
    (suites / "great_expectations.yml").write_text(configuration.read_text())
    never = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "text", "mostly": 0}}
    (suites / "expectations" / "reviews.json").write_text(
        json.dumps({"name": "reviews", "expectations": [never]})
    )
    monkeypatch.setenv("PERENNIAL_SUITES", str(suites))
    settings.cache_clear()
    land(home, "a.jsonl", json_lines(reviews(5)))
    assert only(ingested(home, "one", maximum_bad_share=1)).status == "empty"
    assert (keys(), len(keys("reviews__quarantine"))) == ([], 5)
    land(home, "a.jsonl", json_lines(reviews(5)))
    assert only(ingested(home, "two")).status == "refused"


def test_a_retry_answers_for_what_its_earlier_tries_settled(home: Path) -> None:
    land(home, "a.jsonl", json_lines([*reviews(20), review(20, label=9)]))
    land(home, "b.jsonl", b"{")
    first = ingested(home, "step")
    assert ingested(home, "step") == first
    assert ingested(home, "another step").published_rows == 0


@pytest.mark.parametrize("kill_at", KILLS)
def test_an_ingest_that_is_killed_anywhere_is_carried_on_by_its_retry(home: Path, kill_at: str) -> None:
    land(home, "a.jsonl", json_lines([*reviews(20), review(20, label=9)]))
    land(home, "b.csv", b"\xff")
    child = ingest_child.start(home, "step", kill_at)
    child.join(60)
    assert child.exitcode == -signal.SIGKILL

    result = ingested(home, "step")

    assert (keys(), len(keys("reviews__quarantine"))) == (expected(20), 1)
    assert (result.published_rows, result.quarantined_rows) == (20, 1)
    assert [outcome.status for outcome in result.files] in (
        ["published", "refused"],
        ["already_published", "refused"],
    )
    assert (waiting(home), set(refused(home))) == ([], {"b.csv"})
    assert list((landing_folder() / ".archive").rglob("a.jsonl"))
    assert files.entries(landing_folder() / ".staged") == []


def test_another_run_carries_on_what_a_killed_one_left(home: Path) -> None:
    land(home, "a.jsonl", json_lines([*reviews(20), review(20, label=9)]))
    child = ingest_child.start(home, "killed", "after tasks.stores.lake.write_deltalake 2")
    child.join(60)
    outcome = only(ingested(home, "other"))
    assert (outcome.status, outcome.published_rows, outcome.quarantined_rows) == ("already_published", 20, 1)
    assert keys() == expected(20)


def test_an_ingest_that_is_killed_again_and_again_publishes_each_row_once(home: Path) -> None:
    for number in range(3):
        land(home, f"{number}.jsonl", json_lines(reviews(700, 700 * number)))
    chance = random.Random(5)
    for _ in range(6):
        child = ingest_child.start(home, "step")
        time.sleep(chance.uniform(0.1, 0.9))
        child.kill()
        child.join(60)
    result = ingested(home, "step")
    assert keys() == expected(2100)
    assert (result.published_rows, waiting(home)) == (2100, [])


def test_two_ingests_at_the_same_time_publish_each_row_once(home: Path) -> None:
    for number in range(3):
        land(home, f"{number}.jsonl", json_lines([*reviews(20, 20 * number), review(100 + number, label=9)]))
    children = [ingest_child.start(home, f"step {number}") for number in range(3)]
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert (keys(), len(keys("reviews__quarantine"))) == (expected(60), 3)
    assert (waiting(home), refused(home)) == ([], {})
    assert files.entries(landing_folder() / ".staged") == []


def test_of_two_plans_for_the_same_batch_the_first_counts(home: Path) -> None:
    """The suite was changed between them: rows of one and
    quarantine of the other would lose what both left out.
    """
    landing = Landing("reviews")
    plans = []
    for rows in (1, 2):
        outcome = FileOutcome(file="a.jsonl", status="published", batch_id="b", published_rows=rows)
        staging = landing.staging("b")
        staging.write("accepted", as_table(reviews(rows)))
        plans.append(landing.stage("b", outcome, staging))
    first, second = plans
    assert first == second
    assert sum(len(batch) for batch in landing.staged_rows("b", second, "accepted").batches()) == 1


def test_an_ingest_that_comes_too_late_with_its_plan_drops_it(home: Path) -> None:
    landing = Landing("reviews")
    land(home, "a.jsonl", b"")
    staging = landing.staging("b")
    staging.write("accepted", as_table(reviews(1)))
    landing.archive(Arrival("a.jsonl", landing.state("a.jsonl")), "b")
    outcome = FileOutcome(file="a.jsonl", status="published", batch_id="b")
    assert landing.stage("b", outcome, staging) is None
    assert landing.plan("b") is None


def test_twenty_five_thousand_reviews_take_seconds(home: Path) -> None:
    land(
        home,
        "a.csv",
        as_csv([review(number, text="A rather long review. " * 50) for number in range(25_000)]),
    )
    started = time.process_time()
    assert ingested(home).published_rows == 25_000
    assert time.process_time() - started < 15


def test_an_object_store_s_landing_folder_is_the_same_to_ingest(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_LANDING_URL", f"memory://{home.name}")
    settings.cache_clear()
    from upath import UPath

    folder = UPath(settings().landing) / "reviews"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(GOOD_CSV)
    (folder / "b.csv").write_bytes(b"\xff")
    assert [outcome.status for outcome in ingested(home).files] == ["published", "refused"]
    assert keys() == expected(20)
    assert sorted(path.name for path in (folder / ".refused").iterdir()) == ["b.csv", "b.csv.reason.json"]


def test_a_wide_table_is_ingested_with_every_type(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("string", "int64", "float64", "bool", "timestamp", "date")
    values = ("text", 1, 1.5, True, "2026-01-01T00:00:00Z", "2026-01-01")
    columns = {f"c{number}": kinds[number % 6] for number in range(300)}
    row = {name: values[number % 6] for number, name in enumerate(columns)}
    table = TableSpec(table="wide", key="key", columns={"key": "string", **columns}, suite="reviews")
    suites = home / "suites"
    (suites / "expectations").mkdir(parents=True)
    (suites / "great_expectations.yml").write_text((settings().suites / "great_expectations.yml").read_text())
    filled = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "c299"}}
    (suites / "expectations" / "reviews.json").write_text(
        json.dumps({"name": "reviews", "expectations": [filled]})
    )
    monkeypatch.setenv("PERENNIAL_SUITES", str(suites))
    settings.cache_clear()
    folder = home / "landing" / "wide"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(json_lines([{"key": f"k{number}", **row} for number in range(200)]))
    (folder / "b.csv").write_text(
        "\n".join(
            [",".join(["key", *columns]), *(",".join([f"q{n}", *map(str, row.values())]) for n in range(200))]
        )
    )
    result = ingest(IngestRequest(context=context(home, "wide"), table=table))
    assert (result.published_rows, result.quarantined_rows) == (400, 0)
