"""How much bad data is an incident: natural rates pass with their bad rows left out, far more is refused."""

# ruff: noqa: RUF001 - texts of many languages

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.data import csv_reader, duplicates
from tasks.data.judge import judging
from tasks.data.suites import load_suite
from tasks.data.validate import check_rows
from tasks.data.wrong_encoding import is_mojibake
from tasks.errors import InvalidProject
from tasks.stores.lake import Lake
from tests.conftest import PROJECT
from tests.unit.tables import MakeDoor

REAL = PROJECT.parent / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"There is no real data in {REAL}.")

BETWEEN = "expect_column_values_to_be_between"
ORDERED = {
    "type": "expect_column_pair_values_a_to_be_greater_than_b",
    "kwargs": {
        "column_A": "ends",
        "column_B": "starts",
        "ignore_row_if": "either_value_is_missing",
        "mostly": 0.5,
    },
}


def expect(kind: str, column: str, **arguments: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": {"column": column, **arguments}}


def lines(*rows: str) -> str:
    return "\n".join(rows) + "\n"


# --- how much is too much -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("bad", "status"), [(5, "published"), (6, "refused")])
def test_bad_rows_count_together_whatever_is_wrong_with_them(door: MakeDoor, bad: int, status: str) -> None:
    table = door([expect(BETWEEN, "n", max_value=100, mostly=0.5)], id="string", n="int64", text="string")
    kinds = ["b0,999,x", "b1,many,x", "b2,1", ",1,x", "b4,1,cafÃ©", 'b5,1,"x"y']
    good = [f"r{number},1,x" for number in range(100 - bad)]
    table.land("a.csv", lines("id,n,text", *good, *kinds[:bad]))
    outcome = table.outcome()
    assert (outcome.status, outcome.quarantined_rows) == (status, bad if status == "published" else 0)
    if status == "refused":
        assert re.search(
            "6 of 100 rows are bad, more than the 5.00% of maximum_bad_share", outcome.reason or ""
        )
        assert all(
            kind in (outcome.reason or "") for kind in (BETWEEN, "row_is_readable", "text_has_its_own")
        )


def test_a_table_may_declare_how_much_bad_data_it_takes(door: MakeDoor) -> None:
    rows = lines("id,n", *(f"r{number},{number if number % 2 else 'x'}" for number in range(100)))
    table = door(id="string", n="int64")
    for share, status in ((0.49, "refused"), (0.5, "published")):
        table.land("a.csv", rows)
        assert table.outcome(maximum_bad_share=share).status == status


def test_a_file_with_exactly_the_share_of_bad_rows_that_its_table_takes_is_published(door: MakeDoor) -> None:
    table = door(id="string", n="int64")
    table.land("a.csv", lines("id,n", *(f"r{number},{'x' if number < 29 else 1}" for number in range(100))))
    assert table.outcome(maximum_bad_share=0.29).status == "published"


@pytest.mark.parametrize(("share", "status"), [(0.2, "refused"), (0.25, "published"), (1.0, "published")])
def test_rows_that_are_equal_in_everything_but_their_key_are_counted(
    door: MakeDoor, share: float, status: str
) -> None:
    table = door(limits={"maximum_duplicate_share": share}, id="string", n="int64", text="string")
    again = [f"again{number},{number},text" for number in range(25)]
    table.land("a.csv", lines("id,n,text", *(f"r{number},{number},text" for number in range(75)), *again))
    outcome = table.outcome()
    assert outcome.status == status
    if status == "refused":
        assert "25 of 100 rows repeat another one in everything but id" in (outcome.reason or "")


def test_exact_copies_are_no_duplicates_under_another_key(door: MakeDoor) -> None:
    table = door(limits={"maximum_duplicate_share": 0}, id="string", n="int64")
    table.land("a.csv", lines("id,n", "r1,1", "r1,1", "r2,2"))
    assert table.outcome().published_rows == 2


# --- text of a wrong encoding -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Crème brûlée à l'œuf – c'est «bon» … 20 °C, 5 €, ½ ™",
        "Größe, Straße, Ärger, ÜBER ALLES, naïve façade",
        "¿Qué? ¡Sí! El niño comió piñata; ª º",
        "Привет, как дела? Ёжик и щука",
        "Ђорђе је отишао у Љубљану",
        "Καλημέρα κόσμε",
        "日本語のレビューです。とても良かった！(^_^;)",
        "한국어 리뷰입니다",
        "שלום עולם، مرحبا بالعالم",
        "Zażółć gęślą jaźń. Þórður át ís",
        "Great movie 👍🏽🎬 — 10/10 ★★★☆☆ → see it ©2026",
        "plain",
        "",
    ],
)
def test_natural_text_passes_and_is_found_when_it_was_decoded_wrongly(text: str) -> None:
    assert not is_mojibake(text)
    wrong = text.encode().decode("latin-1")
    assert is_mojibake(wrong) == (wrong != text)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac_roman"])
def test_common_wrong_encodings_are_found(encoding: str) -> None:
    for text in ("It’s a café", "naïve – really", "“quoted”", "£5 and 3 °C"):
        assert is_mojibake(text.encode().decode(encoding, "ignore")), text


def test_text_that_lost_letters_is_found() -> None:
    assert is_mojibake(b"caf\xe9".decode("utf-8", "replace"))


def test_a_dash_of_windows_that_old_texts_have_here_and_there_spoils_no_row() -> None:
    assert not is_mojibake("The plot is weak \x96 and then\x85 it ends (1973)\x85albeit late")


def test_rows_of_a_wrong_encoding_go_to_quarantine_and_a_file_of_them_is_refused(door: MakeDoor) -> None:
    table = door(id="string", text="string")
    texts = ["Crème brûlée"] * 95 + ["Crème brûlée".encode().decode("cp1252")] * 5
    table.land("a.csv", lines("id,text", *(f"r{number},{text}" for number, text in enumerate(texts))))
    assert table.outcome().quarantined_rows == 5
    assert set(table.quarantined().values()) == {"text_has_its_own_encoding"}
    table.land("b.csv", lines("id,text", *(f"q{number},Ã©t{number}" for number in range(20))))
    assert "text was decoded by another encoding than its own" in (table.outcome().reason or "")


@needs_real_data
def test_real_reviews_pass_and_are_found_when_they_were_decoded_wrongly() -> None:
    natural = wrong = found = 0
    for name in ("yelp/categories", "reviews_other/skytrax_seat_2007_2015", "uci_sentiment/imdb_labelled"):
        with gzip.open(REAL / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
        natural += sum(map(is_mojibake, texts))
        bent = [text.encode().decode("latin-1") for text in texts if not text.isascii()]
        wrong, found = wrong + len(bent), found + sum(map(is_mojibake, bent))
    assert natural <= 8  # lines of imdb_labelled were really decoded as latin-1
    assert wrong == found > 100


# --- expectations across columns, and over batches ----------------------------------------------------------


def test_a_row_that_breaks_an_expectation_across_columns_goes_to_quarantine(door: MakeDoor) -> None:
    table = door([ORDERED], id="string", starts="timestamp", ends="timestamp")
    early, late = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"
    good = [f"r{number},{early},{late}" for number in range(40)]
    table.land(
        "a.csv", lines("id,starts,ends", *good, f"b1,{late},{early}", f"b2,{early},{early}", f"r40,,{late}")
    )
    assert table.outcome().quarantined_rows == 2
    assert table.quarantined() == dict.fromkeys((41, 42), ORDERED["type"])


CONDITIONS = [
    {"row_condition": 'kind == "refund"', "condition_parser": "pandas"},
    {"row_condition": 'col("kind") == "refund"', "condition_parser": "great_expectations"},
    {
        "row_condition": {
            "type": "comparison",
            "column": {"name": "kind"},
            "operator": "==",
            "parameter": "refund",
        }
    },
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=["pandas", "great_expectations", "object"])
def test_a_condition_says_which_rows_an_expectation_is_about(
    door: MakeDoor, condition: dict[str, Any]
) -> None:
    negative = expect(BETWEEN, "amount", max_value=0, mostly=0.5, **condition)
    table = door([negative], id="string", kind="string", amount="float64")
    sales = [f"s{number},sale,5" for number in range(40)]
    refunds = [f"r{number},refund,-5" for number in range(10)]
    table.land("a.csv", lines("id,kind,amount", *sales, *refunds, "bad1,refund,5", "bad2,refund,7"))
    assert table.outcome().quarantined_rows == 2
    assert set(table.quarantined()) == {51, 52}
    (loaded,) = load_suite("events").expectations
    assert set(loaded.columns) == {"amount", "kind"}
    with pytest.raises(InvalidProject, match="nothing would be checked"):
        check_rows(pa.table({"amount": [1.0]}), "events", str(table.home), only_columns=["amount"])


DIVERSE = [
    expect("expect_column_values_to_not_be_null", "n", mostly=0.5),
    expect("expect_column_values_to_be_null", "n", mostly=0),
    expect(BETWEEN, "n", min_value=3, max_value=60, mostly=0.7),
    expect("expect_column_values_to_be_in_set", "word", value_set=["a", "b", "c"], mostly=0.6),
    expect("expect_column_values_to_match_regex", "word", regex="^[ab]", mostly=0.4),
    expect("expect_column_value_lengths_to_be_between", "word", max_value=1),
    expect("expect_column_values_to_be_unique", "n", mostly=0.2),
    expect("expect_column_values_to_be_increasing", "place"),
    expect("expect_column_value_z_scores_to_be_less_than", "n", threshold=1.5, double_sided=True, mostly=0.5),
    expect("expect_column_distinct_values_to_be_in_set", "word", value_set=["a", "b", "c", "dd"]),
    expect("expect_column_unique_value_count_to_be_between", "n", min_value=5, max_value=40),
    expect("expect_column_max_to_be_between", "n", min_value=1, max_value=69),
    expect("expect_column_mean_to_be_between", "n", min_value=1, max_value=20),
    expect(
        "expect_column_quantile_values_to_be_between",
        "n",
        quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 99]]},
    ),
    expect("expect_column_values_to_be_of_type", "n", type_="int64"),
    {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["n", "word"]}},
    {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 100, "max_value": 300}},
    {"type": "expect_table_columns_to_match_set", "kwargs": {"column_set": ["id", "place", "n", "word"]}},
    {"type": "expect_table_column_count_to_equal", "kwargs": {"value": 4}},
]


def test_a_file_that_is_judged_in_batches_is_judged_as_if_it_were_one(
    door: MakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "ROW_BYTES", 256)
    monkeypatch.setattr(csv_reader, "BATCH_BYTES", 500)
    severity = {"severity": "warning"}
    table = door([each | severity for each in DIVERSE], id="string", place="int64", n="int64", word="string")
    values = [(n * 37 % 71 if n % 9 else None, ["a", "b", "c", "dd", None][n * n % 5]) for n in range(200)]
    rows = [f"r{n},{n},{'' if v is None else v},{w or ''}" for n, (v, w) in enumerate(values)]
    table.land("a.csv", lines("id,place,n,word", *rows))
    outcome = table.outcome()
    assert (outcome.published_rows, outcome.quarantined_rows) == (200, 0)
    document = json.loads(Path(str(outcome.report_url)).with_suffix(".json").read_text())

    whole = pa.table(
        {
            "id": [f"r{n}" for n in range(200)],
            "place": pa.array(range(200), pa.int64()),
            "n": pa.array([v for v, _ in values], pa.int64()),
            "word": pa.array([w for _, w in values], pa.string()),
        }
    )
    suite = load_suite("events")
    with judging(suite) as judge:
        findings = judge.evaluate(suite.expectations, whole)
    at_once = check_rows(whole, "events", str(table.home / "whole"))
    for batched, once, finding in zip(document["expectations"], at_once.outcomes, findings, strict=True):
        assert batched["met"] == once.met == finding.met, batched
        assert batched["unexpected_rows"] == once.broken_rows, batched
        assert batched["unexpected_share"] == once.share, batched
        assert batched["message"] == once.message
    assert {batched["met"] for batched in document["expectations"]} == {True, False}


def test_rows_that_break_what_only_all_rows_show_go_to_quarantine(
    door: MakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "ROW_BYTES", 64)
    monkeypatch.setattr(csv_reader, "BATCH_BYTES", 100)
    unique = expect("expect_column_values_to_be_unique", "mail", mostly=0.5)
    rising = expect("expect_column_values_to_be_increasing", "n", mostly=0.5)
    table = door([unique, rising], id="string", mail="string", n="int64")
    rows = [f"r{n},m{n},{n}" for n in range(100)]
    rows[90], rows[50] = "r90,m7,90", "r50,m50,0"
    rows += [rows[3], "r100,,100"]
    table.land("a.csv", lines("id,mail,n", *rows))
    outcome = table.outcome()
    assert (outcome.quarantined_rows, outcome.repeated_rows) == (3, 1)
    assert table.quarantined() == {8: unique["type"], 91: unique["type"], 51: rising["type"]}


def test_equal_hashes_are_a_suspicion_and_no_verdict(door: MakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = duplicates.Hashed.of
    monkeypatch.setattr(duplicates.Hashed, "of", lambda self, rows: genuine(self, rows) % 3)
    unique = expect("expect_column_values_to_be_unique", "n", mostly=0.5)
    table = door([unique], id="string", n="int64")
    table.land("a.csv", lines("id,n", *(f"r{n},{n}" for n in range(50)), "r50,7", "r3,3", "r4,400"))
    outcome = table.outcome(maximum_bad_share=0.5)
    assert (outcome.published_rows, outcome.repeated_rows) == (48, 1)
    assert table.quarantined() == {
        5: "key_is_there_once",
        8: "expect_column_values_to_be_unique",
        51: "expect_column_values_to_be_unique",
        53: "key_is_there_once",
    }


# --- columns that appear and disappear ----------------------------------------------------------------------


def test_by_default_a_column_too_many_or_too_few_refuses_the_file(door: MakeDoor) -> None:
    table = door(id="string", n="int64")
    for content in (lines("id,n,new", "r1,1,x"), lines("id", "r1")):
        table.land("a.csv", content)
        assert table.outcome().status == "refused"


def test_a_column_that_appears_may_be_left_out(door: MakeDoor) -> None:
    table = door(limits={"unknown_columns": "ignore"}, id="string", n="int64")
    table.land("a.csv", lines("id,new,n", "r1,x,1"))
    table.land("a.jsonl", '{"id": "r2", "n": 2, "other": [1]}\n')
    assert table.ingest().published_rows == 2
    assert table.rows("id", "n") == [("r1", 1), ("r2", 2)]
    assert set(Lake().columns("events")) == {"id", "n"}


def test_a_column_that_appears_may_join_the_table_whose_older_rows_have_null(door: MakeDoor) -> None:
    table = door(limits={"unknown_columns": "add"}, id="string", n="int64")
    table.land("1.csv", lines("id,n", "r1,1"))
    table.ingest()
    table.land(
        "2.jsonl", '{"id": "r2", "n": 2, "score": 1, "yes": true}\n{"id": "r3", "n": 3, "score": 0.5}\n'
    )
    table.ingest()
    table.land("3.csv", lines("id,n,score,note", "r4,4,0.25,x"))
    table.ingest()
    table.land("4.csv", lines("id,n,score", "r5,5,high", *(f"s{n},1,1" for n in range(40))))
    assert table.outcome().quarantined_rows == 1
    table.land("5.csv", lines("id,n", "r6,6"))
    table.ingest()
    kinds = {"id": "string", "n": "int64", "score": "float64", "yes": "bool", "note": "string"}
    assert Lake().columns("events") == kinds
    rows = [row for row in table.rows("id", "n", "score", "yes", "note") if row[0].startswith("r")]
    assert rows == [
        ("r1", 1, None, None, None),
        ("r2", 2, 1.0, True, None),
        ("r3", 3, 0.5, None, None),
        ("r4", 4, 0.25, None, "x"),
        ("r6", 6, None, None, None),
    ]


@pytest.mark.parametrize("name", ["ID", "batch_id", "two words", "drop;table", ""])
def test_a_column_whose_name_cannot_join_refuses_the_file(door: MakeDoor, name: str) -> None:
    table = door(limits={"unknown_columns": "add"}, id="string", n="int64")
    table.land("a.csv", lines(f"id,n,{name}", "r1,1,x"))
    assert "which cannot join the table" in (table.outcome().reason or "")
    assert set(Lake().columns("events")) == {"id", "n"}


def test_a_column_named_like_one_that_joined_before_but_for_its_case_refuses_the_file(door: MakeDoor) -> None:
    table = door(limits={"unknown_columns": "add"}, id="string", n="int64")
    for name, column in (("a.csv", "Extra"), ("b.csv", "extra"), ("c.csv", "Extra")):
        table.land(name, lines(f"id,n,{column}", f"{name},1,x"))
    outcomes = {outcome.file: outcome for outcome in table.ingest().files}
    assert "which cannot join the table" in (outcomes["b.csv"].reason or "")
    assert (table.waiting(), table.rows("id")) == ([], ["a.csv", "c.csv"])


def test_a_column_that_disappears_may_be_null_but_never_the_key(door: MakeDoor) -> None:
    table = door(limits={"missing_columns": "ignore"}, id="string", n="int64", m="int64")
    table.land("a.csv", lines("m,id", "5,r1"))
    table.land("b.csv", lines("n,m", "1,2"))
    outcomes = {outcome.file: outcome for outcome in table.ingest().files}
    assert table.rows("id", "n", "m") == [("r1", None, 5)]
    assert "lacks ['id']" in (outcomes["b.csv"].reason or "")


def test_a_column_that_is_declared_later_joins_the_table(door: MakeDoor) -> None:
    table = door(id="string", n="int64")
    table.land("a.csv", lines("id,n", "r1,1"))
    table.ingest()
    table.land("b.csv", lines("id,n,at", "r2,2,2026-01-01"))
    table.ingest(columns={"id": "string", "n": "int64", "at": "date"})
    assert [(key, str(at)) for key, at in table.rows("id", "at")] == [("r1", "None"), ("r2", "2026-01-01")]


# --- what publishers really ship ----------------------------------------------------------------------------

TAXI = {
    "vendor_id": "int64",
    "pickup_datetime": "timestamp",
    "dropoff_datetime": "timestamp",
    "passenger_count": "int64",
    "trip_distance": "float64",
    "rate_code_id": "int64",
    "store_and_fwd_flag": "string",
    "pickup_location_id": "int64",
    "dropoff_location_id": "int64",
    "payment_type": "int64",
    **dict.fromkeys(
        (
            "fare_amount",
            "extra",
            "mta_tax",
            "tip_amount",
            "tolls_amount",
            "improvement_surcharge",
            "total_amount",
            "congestion_surcharge",
        ),
        "float64",
    ),
}
TAXI_SUITE = [
    expect(BETWEEN, "fare_amount", min_value=0, max_value=1000, mostly=0.9),
    expect(BETWEEN, "trip_distance", min_value=0, strict_min=True, max_value=200, mostly=0.9),
    {**expect("expect_column_values_to_not_be_null", "passenger_count", mostly=0.9), "severity": "warning"},
    {
        "type": "expect_column_pair_values_a_to_be_greater_than_b",
        "kwargs": {"column_A": "dropoff_datetime", "column_B": "pickup_datetime", "mostly": 0.9},
    },
]


def taxi(month: str) -> list[dict[str, str]]:
    """A month as it was published, with a key."""
    with gzip.open(
        REAL / "taxi" / f"yellow_sample_{month}.csv.gz", "rt", encoding="utf-8", newline=""
    ) as file:
        return [{"id": f"{month}-{number}", **row} for number, row in enumerate(csv.DictReader(file))]


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@needs_real_data
@pytest.mark.parametrize("month", ["2018-01", "2019-01", "2020-04"])
def test_the_rates_of_bad_rows_that_publishers_ship_pass_and_rates_far_above_do_not(
    door: MakeDoor, month: str
) -> None:
    table = door(TAXI_SUITE, id="string", **TAXI)
    rows = taxi(month)
    table.land("natural.csv", as_csv(rows))
    outcome = table.outcome()
    assert outcome.status == "published", outcome.reason
    assert 0.003 < outcome.quarantined_rows / 10_000 < 0.045
    for row in rows[:1000]:
        row["fare_amount"] = f"-{row['fare_amount']}"
    table.land("broken.csv", as_csv(rows))
    assert "rows are bad" in (table.outcome().reason or "")


@needs_real_data
def test_a_file_with_a_share_of_values_that_were_not_measured_passes(door: MakeDoor) -> None:
    with gzip.open(
        REAL / "tabular" / "beijing_pm25_2010_2014.csv.gz", "rt", encoding="utf-8", newline=""
    ) as file:
        rows = [
            {name.replace(".", "_"): value for name, value in row.items()} for row in csv.DictReader(file)
        ]
    kinds = {"No": "int64", "cbwd": "string", **dict.fromkeys(("pm2_5", "TEMP"), "float64")}
    table = door(
        [{"type": "expect_column_to_exist", "kwargs": {"column": "No"}}],
        {"key": "No", "unknown_columns": "ignore"},
        **kinds,
    )
    table.land("pm25.csv", as_csv(rows))
    outcome = table.outcome()
    assert (outcome.status, outcome.quarantined_rows) == ("published", 2066), outcome.reason
