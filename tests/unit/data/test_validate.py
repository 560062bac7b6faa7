"""Rows are judged as their suite says, and the report shows it without loading anything."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.contracts import DataSnapshot, SnapshotPart, ValidateRequest
from tasks.data.validate import CheckedRows, check_rows, validate
from tasks.errors import DataRejected, InvalidProject
from tasks.stores.row_hash import sha256_of_rows
from tests.unit.reviews import DAY, SPEC, as_table, context, review, reviews

HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"


def checked(home: Path, rows: list[dict[str, object]], columns: list[str] | None = None) -> CheckedRows:
    table = as_table(rows)
    return check_rows(
        table.select(columns) if columns else table, "reviews", str(home / "report"), only_columns=columns
    )


def frozen(home: Path, rows: list[dict[str, object]], columns: tuple[str, ...]) -> DataSnapshot:
    """A snapshot whose three parts hold the rows in turn."""
    parts = {}
    for number, name in enumerate(("train", "validation", "test")):
        path = home / f"{name}.parquet"
        table = as_table(rows[number::3]).select(columns)
        pq.write_table(table, path)
        parts[name] = SnapshotPart(url=str(path), rows=len(table), sha256=sha256_of_rows(table))
    return DataSnapshot(
        table="reviews",
        table_version=4,
        as_of=None,
        version_at=DAY,
        query="",
        rows=len(rows),
        sha256="0" * 64,
        **parts,
    )


def request(
    home: Path, rows: list[dict[str, object]], columns: tuple[str, ...] = ("review_id", "text", "label")
) -> ValidateRequest:
    return ValidateRequest(context=context(home, "validate"), spec=SPEC, snapshot=frozen(home, rows, columns))


def test_good_rows_pass_and_everything_of_the_suite_was_evaluated(home: Path) -> None:
    found = checked(home, reviews(50))
    assert found.report.success
    assert found.report.evaluated == 10
    assert (found.broken_rows, found.broken_share, found.not_applicable) == (0, 0, ())


def test_tolerated_rows_are_named_though_the_suite_is_met(home: Path) -> None:
    found = checked(
        home, [*reviews(20), review(20, label=7), review(21, text=None), review(22, text="", label=None)]
    )
    assert found.report.success
    assert found.broken_mask.nonzero()[0].tolist() == [20, 21, 22]
    assert found.broken_share == pytest.approx(3 / 23)


def test_more_broken_rows_than_tolerated_fail_with_counts_and_samples(home: Path) -> None:
    found = checked(home, [*reviews(6), *(review(number, label=7) for number in range(6, 10))])
    (failed,) = found.report.failed
    assert not found.report.success
    assert (failed.expectation, failed.column) == ("expect_column_values_to_be_in_set", "label")
    assert (failed.unexpected_rows, failed.unexpected_share, failed.samples) == (4, 0.4, ("7",))


def test_no_rows_at_all_fail(home: Path) -> None:
    found = checked(home, [])
    assert not found.report.success
    assert found.report.failed[0].expectation == "rows"
    assert found.broken_share == 1
    assert "no rows" in Path(found.report.url).read_text()


def test_columns_of_nothing_but_nulls_are_broken_rows_not_a_crash(home: Path) -> None:
    found = checked(home, [dict.fromkeys(review(0)) for _ in range(3)])
    assert not found.report.success
    assert found.broken_rows == 3


def test_expectations_about_columns_that_are_not_there_are_listed_as_not_applicable(home: Path) -> None:
    found = checked(home, reviews(10), ["text"])
    assert found.report.success
    assert {column for each in found.not_applicable for column in each.columns} == {
        "review_id",
        "written_at",
        "source",
        "label",
    }
    assert "expect_table_columns_to_match_set" in {each.type for each in found.not_applicable}
    document = json.loads(Path(found.report.json_url).read_text())
    assert document["evaluated"] + len(document["not_applicable"]) == 10


def test_a_suite_that_has_nothing_to_say_of_the_columns_is_an_error(home: Path) -> None:
    table = as_table(reviews(3)).select(["text"]).rename_columns(["body"])
    with pytest.raises(InvalidProject, match="nothing would be checked"):
        check_rows(table, "reviews", str(home / "report"), only_columns=["body"])


def test_a_column_that_the_rows_ought_to_have_is_an_error(home: Path) -> None:
    with pytest.raises(InvalidProject, match="label"):
        check_rows(as_table(reviews(3)).drop_columns(["label"]), "reviews", str(home / "report"))


def test_the_report_shows_hostile_values_and_neither_runs_nor_loads_anything(home: Path) -> None:
    found = checked(
        home,
        [*reviews(2), review(2, source=HOSTILE, text=HOSTILE * 1000), review(3, review_id=HOSTILE * 100)],
    )
    page = Path(found.report.url).read_text()

    assert "&lt;script&gt;" in page
    assert not re.search(r"<(script|img|link|iframe|object|form)\b", page)
    assert not re.search(r"\b(src|href|action)\s*=|@import|url\(", page.replace("src=http://evil", ""))
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_snapshot_that_is_good_is_validated_as_one(home: Path) -> None:
    report = validate(request(home, reviews(30)))
    assert (report.success, report.rows, report.suite) == (True, 30, "reviews")
    assert Path(report.url).parent == home / "runs" / "validate"


def test_a_validation_that_is_cleared_leaves_the_report_of_its_first_try(home: Path) -> None:
    first = validate(request(home, reviews(30)))
    page = Path(first.url).read_text()

    assert validate(request(home, reviews(30))) == first, "of the same rows it is the same"
    second = validate(request(home, reviews(40)))

    assert (Path(first.url).read_text(), json.loads(Path(first.json_url).read_text())["rows"]) == (page, 30)
    assert json.loads(Path(second.json_url).read_text())["rows"] == 40


def test_a_snapshot_that_breaks_its_suite_is_rejected_after_the_report_is_written(home: Path) -> None:
    rows = [*reviews(10), *(review(number, text="") for number in range(10, 20))]
    with pytest.raises(DataRejected, match=r"version 4, breaks its suite 'reviews'.*text") as error:
        validate(request(home, rows))
    report = error.value.evidence["report"]
    assert [failed["column"] for failed in report["failed"]] == ["text", "text"]
    assert Path(report["url"]).exists()
    assert json.loads(Path(report["json_url"]).read_text())["success"] is False
