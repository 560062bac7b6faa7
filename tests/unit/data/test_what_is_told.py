"""What is wrong with a file is told with what to do, all of it at once; and a wrong suite refuses no file."""

import io
import json
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.data import strict_json
from tasks.data.layout import layout_of
from tasks.errors import DataRejected, InvalidProject
from tasks.spec import TableSpec
from tasks.stores.lake import Lake
from tests.unit.tables import MakeDoor


def columns_are(*names: str, **more: Any) -> dict[str, Any]:
    return {"type": "expect_table_columns_to_match_set", "kwargs": {"column_set": list(names), **more}}


@pytest.mark.parametrize(
    ("listed", "limits", "said"),
    [
        (columns_are("id"), {}, r"events\.json: the suite's column_set lacks n, which pipeline\.yaml decl"),
        (columns_are("id", "n", "m"), {}, r"column_set names m, which pipeline\.yaml does not declare"),
        (columns_are("id", "m", exact_match=False), {"unknown_columns": "ignore"}, "column_set names m, "),
        (
            {
                "type": "expect_table_columns_to_match_ordered_list",
                "kwargs": {"column_list": ["id"]},
            },
            {"unknown_columns": "add"},
            "the suite's column_list lacks n",
        ),
        (
            {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "id", "regex": "("}},
            {},
            r"events\.json: expectations\[0\] .*'\(' is no regular expression: missing \)",
        ),
    ],
)
def test_files_wait_for_a_suite_that_is_wrong_or_whose_columns_are_not_the_tables(
    door: MakeDoor, listed: dict[str, Any], limits: dict[str, Any], said: str
) -> None:
    table = door([listed], limits, id="string", n="int64")
    table.land("a.csv", "id,n\na,1\n")

    with pytest.raises(InvalidProject, match=said):
        table.ingest()

    assert table.waiting() == ["a.csv"]


@pytest.mark.parametrize(
    ("listed", "limits"),
    [
        (columns_are("id", exact_match=False), {}),
        (columns_are("id", "n", "m"), {"unknown_columns": "add"}),
        ({**columns_are("id"), "severity": "warning"}, {}),
    ],
)
def test_a_suite_that_good_files_can_meet_lets_them_join(
    door: MakeDoor, listed: dict[str, Any], limits: dict[str, Any]
) -> None:
    table = door([listed], limits, id="string", n="int64")
    table.land("a.csv", "id,n,m\na,1,2\n" if limits else "id,n\na,1\n")

    assert table.outcome().status == "published"


def test_every_wrong_type_of_a_parquet_file_is_told_at_once(door: MakeDoor) -> None:
    table = door(id="string", n="int64", at="date")
    file = io.BytesIO()
    pq.write_table(pa.table({"id": [1], "n": [True], "at": ["2026-01-01"]}), file)
    table.land("a.parquet", file.getvalue())

    reason = table.outcome().reason or ""

    assert "the column 'id' is int64, but the table's is string; the column 'n' is bool, but" in reason
    assert "'at'" not in reason
    assert reason.endswith("Write those types.")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "id, Weight_KG",
            " Weight_KG': do you mean 'weight_kg'? Correct the file, or declare missing_c",
        ),
        ("id,wieght_kg", "'wieght_kg': do you mean 'weight_kg'?"),
        ("id", "Correct the file, or declare missing_columns: ignore for the table in pipeline.yaml."),
        (
            "id,weight_kg,colour",
            "it adds ['colour']. Expected are ['id', 'weight_kg']. Correct the file, or declare "
            "unknown_columns: ignore (or add) for the table in pipeline.yaml.",
        ),
        ("ID,weight_kg", "'ID': do you mean 'id'? Correct the file."),
        ("id;weight_kg", "a.csv has one column, 'id;weight_kg': its values are not comma-separated. Write"),
    ],
)
def test_other_columns_than_the_tables_are_told_with_what_to_do(
    door: MakeDoor, header: str, said: str
) -> None:
    table = door(id="string", weight_kg="float64")
    table.land("a.csv", f"{header}\n{','.join('1' for _ in header.split(','))}\n")

    assert said in (table.outcome().reason or "")


def test_all_columns_that_cannot_join_are_told_at_once(door: MakeDoor) -> None:
    table = door(None, {"unknown_columns": "add"}, id="string")
    table.land("a.csv", "id,Id,b c,fine\n1,2,3,4\n")

    assert "adds the columns ['Id', 'b c'], which cannot join" in (table.outcome().reason or "")


def test_forty_thousand_columns_or_keys_are_told_at_once() -> None:
    names = [f"c{number}" for number in range(40_000)]
    table = TableSpec(table="events", key="id", suite="events", columns={"id": "string"})
    line = "{" + ",".join(f'"{name}":0' for name in [*names, names[-1]]) + "}"

    start = time.process_time()
    with pytest.raises(DataRejected, match=r"adds .* and 39980 more and has twice \['c39999'\]"):
        layout_of("a.csv", ["id", *names, names[-1]], table, {}, lambda _: "string")
    with pytest.raises(ValueError, match="'c39999' is given twice"):
        strict_json.loads(line)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_value_of_a_wrong_type_is_told_and_a_long_one_shortened(door: MakeDoor, ending: str) -> None:
    table = door(None, {"maximum_bad_share": 0.5}, id="string", n="int64")
    rows = [{"id": str(number), "n": str(number)} for number in range(3)]
    values: list[Any] = [*rows, {"id": "3", "n": "12 km"}, {"id": "4", "n": "9" * 300 + "x"}]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values), file)
    content = {
        "csv": "\n".join(["id,n", *(f"{row['id']},{row['n']}" for row in values), ""]),
        "jsonl": "".join(
            json.dumps({**row, "n": int(row["n"]) if row in rows else row["n"]}) + "\n" for row in values
        ),
        "parquet": file.getvalue(),
    }
    table.land(f"a.{ending}", content[ending])
    table.outcome()

    told = sorted(row["reason"] for row in Lake().read("events__quarantine").to_pylist())
    assert told[0] == 'n is not of type int64: "12 km".'
    assert told[1] == f'n is not of type int64: "{"9" * 199}…".'


def test_a_number_of_json_that_would_be_rounded_is_told_as_it_landed(door: MakeDoor) -> None:
    table = door(None, {"maximum_bad_share": 1, "unknown_columns": "add"}, id="string", n="int64")
    numbers = ["1.00000000000000000001", "1e400", "1.0"]
    lines = [f'{{"id": "{number}", "n": {number}, "real": 1e3}}' for number in numbers]
    table.land("a.jsonl", "\n".join(lines) + "\n")
    table.outcome()

    assert table.rows("id", "n", "real") == [("1.0", 1, 1000.0)]
    told = [row["reason"] for row in Lake().read("events__quarantine").to_pylist()]
    assert told == [f"n is not of type int64: {number}." for number in numbers[:2]]
