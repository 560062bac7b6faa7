"""Whatever is wrong with a landed file: it is never bent, never lost, and never blocks another."""

import errno
import io
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.data import csv_reader, json_reader, landed_file, parquet_reader
from tasks.data.landing import Landing
from tasks.data.landing_names import with_number
from tasks.errors import InvalidProject, InvalidRequest, MachineFull
from tasks.stores import files
from tasks.stores.lake import Lake
from tests.unit.tables import Door, MakeDoor

GOOD = "id,n\nr1,1\nr2,2\n"
HALF = {"maximum_bad_share": 0.5}


@pytest.fixture
def events(door: MakeDoor) -> Door:
    return door(id="string", n="int64")


def parquet(rows: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.table(rows), file, **how)
    return file.getvalue()


# --- a fault of a file refuses it, a fault of the machine does not ------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("wide.csv", "w" * 200_000 + "\nr1,1\n", r"lacks \['id', 'n'\]"),
        ("wide.csv", "w" * (2 << 20), "first line is longer than 1 MiB"),
        ("long.jsonl", '{"id": "' + "x" * (40 << 20) + '"}\n', "line 1 is longer than 8 MiB"),
        ("header.csv", '"id"x,n\nr1,1\n', "the header cannot be read"),
        ("psql.csv", GOOD + "(2 rows)\n", r"ends with '\(2 rows\)', a footer"),
        ("sqlcmd.csv", GOOD + "(2 rows affected)\n", "a footer that a database client writes"),
        ("array.jsonl", '[\n {"id": "a1", "n": 1},\n {"id": "a2", "n": 2}\n]\n', "is one JSON array"),
        ("array.jsonl", '[{"id": "a1", "n": 1}]', "is one JSON array"),
        ("short.jsonl", '{"id": "a", "n": 1}\n{"id": "b", ', "ends in a broken line, 2.*cut off"),
    ],
)
def test_a_file_that_no_reader_can_read_is_refused_and_blocks_no_other(
    events: Door, name: str, content: str, said: str
) -> None:
    events.land(name, content)
    events.land("good.csv", GOOD)
    found = {outcome.file: outcome for outcome in events.ingest().files}
    assert (found["good.csv"].status, found[name].status) == ("published", "refused")
    assert re.search(said, found[name].reason or "")
    assert len(found[name].reason or "") < 1000
    assert (events.waiting(), events.refused()) == ([], {name: content.encode()})


def test_a_huge_file_is_refused_by_its_size_and_not_read(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(events.land("huge.csv", "").path, 80 << 30)
    events.land("small.csv", GOOD)
    monkeypatch.setattr(landed_file, "PIECE_BYTES", 1 << 20)
    outcomes = {outcome.file: outcome for outcome in events.ingest().files}
    assert outcomes["small.csv"].status == "published"
    assert "huge.csv is 81,920 MiB; at most 1024 MiB are read" in (outcomes["huge.csv"].reason or "")
    assert [entry.name for entry in (events.folder / ".refused").iterdir() if entry.suffix == ".csv"] == [
        "huge.csv"
    ]


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError("no memory"),
        duckdb.OutOfMemoryException("could not allocate"),
        duckdb.IOException("could not write to the temporary file"),
        pa.lib.ArrowMemoryError("malloc of size 9 failed"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        ConnectionResetError("reset"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.csv", (csv_reader, "from_text")),
        ("a.csv", (csv_reader.pacsv, "open_csv")),
        ("a.jsonl", (json_reader, "from_python")),
        ("a.parquet", (parquet_reader, "from_arrow")),
        ("a.parquet", (parquet_reader.pq, "ParquetFile")),
    ],
    ids=str,
)
def test_a_fault_of_the_machine_is_raised_and_the_file_waits_for_the_next_try(
    events: Door, monkeypatch: pytest.MonkeyPatch, name: str, place: tuple[Any, str], fault: Exception
) -> None:
    contents = {
        "a.csv": GOOD,
        "a.jsonl": '{"id": "r1", "n": 1}\n',
        "a.parquet": parquet({"id": ["r1"], "n": [1]}),
    }
    events.land(name, contents[name])
    events.land("b.csv", "id,n\nq1,1\n")

    def fails(*_: Any, **__: Any) -> Any:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(*place, fails)
        with pytest.raises(type(fault)):
            events.ingest()
    assert name in events.waiting()
    assert events.refused() == {}
    events.ingest()
    assert (events.waiting(), "r1" in events.rows("id")) == ([], True)


@pytest.mark.parametrize("said", ["MemoryError", "pyarrow.lib.ArrowMemoryError"])
def test_a_want_of_memory_that_great_expectations_swallows_is_the_machine_s(
    events: Door, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def raised(_: Any) -> list[dict[str, Any]]:
        return [{"exception_message": "", "exception_traceback": f"Traceback:\n  x\n{said}: no memory"}]

    events.land("a.csv", GOOD)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.data.suite_run._exceptions", raised)
        with pytest.raises(MachineFull):
            events.ingest()
    assert events.ingest().published_rows == 2


def test_an_unknown_fault_refuses_the_file_that_it_comes_from(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RecursionError("too deep")

    events.land("a.csv", GOOD)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.data.first_look.find_wrong_encoding", fails)
        outcome = events.outcome()
    assert (outcome.status, outcome.reason) == (
        "refused",
        "a.csv cannot be judged: RecursionError: too deep.",
    )


def test_an_expectation_that_only_these_rows_break_down_refuses_them_and_a_wrong_suite_does_not(
    door: MakeDoor,
) -> None:
    parses = {
        "type": "expect_column_values_to_match_strftime_format",
        "kwargs": {"column": "n", "strftime_format": "%Y"},
    }
    wrong = door([parses], id="string", n="int64")
    wrong.land("a.csv", GOOD)
    with pytest.raises(InvalidProject, match="could not be evaluated"):
        wrong.ingest()
    assert wrong.waiting() == ["a.csv"]


def test_a_file_at_which_a_try_was_killed_comes_after_the_others(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any) -> Any:
        raise Killed

    events.land("a.csv", "id,n\na,1\n")
    events.land("b.csv", "id,n\nb,1\n")
    step = events.steps
    with monkeypatch.context() as patched:
        patched.setattr(csv_reader, "from_text", dies)
        with pytest.raises(Killed):
            events.ingest()
        events.steps = step  # the retry of the same step
        genuine = csv_reader.without_broken_quotes
        patched.undo()
        seen: list[str] = []
        patched.setattr(
            csv_reader, "without_broken_quotes", lambda landed: (seen.append(landed.name), genuine(landed))[1]
        )
        events.ingest()
    assert seen == ["b.csv", "a.csv"]


def test_a_link_is_no_file_that_has_landed_and_blocks_none(events: Door, tmp_path: Path) -> None:
    events.land("a.csv", GOOD)
    (tmp_path / "b.csv").write_text("id,n\nr9,9\n")
    folder = Path(events.folder.path)
    (folder / "b.csv").symlink_to(tmp_path / "b.csv")
    (folder / "circle.csv").symlink_to("circle.csv")
    (folder / "nothing.csv").symlink_to("nothing.txt")
    (folder / "through_a_file.csv").symlink_to("/etc/hostname/a.csv")
    assert [(outcome.file, outcome.status) for outcome in events.ingest().files] == [("a.csv", "published")]
    with pytest.raises(InvalidRequest, match=r"There is no b\.csv in the landing folder"):
        events.ingest(named=("b.csv",))


def test_a_name_of_nothing_is_no_green_run(events: Door) -> None:
    with pytest.raises(InvalidRequest, match=r"There is no nowhere\.csv in the landing folder"):
        events.ingest(named=("nowhere.csv",))
    with pytest.raises(InvalidRequest, match="writers have finished"):
        events.ingest(named=("a.csv.part",))


# --- no value is bent ---------------------------------------------------------------------------------------


def test_rows_whose_quotes_break_the_rules_are_named_and_never_read_as_something_else(
    door: MakeDoor,
) -> None:
    lines = [
        "id,text",
        "r01,plain",
        'r02,"a \\"b\\" c"',
        'r03,"one"two',
        'r04,"fine, too"',
        'r05,"of two\nlines"',
        'r06,said "so"',
        'r07,"a ""b"" c"',
        'r08,"open',
        'r09,"x"',
        "",
        "r10,end",
    ]
    texts = door(id="string", text="string")
    texts.land("quotes.csv", "\n".join(lines) + "\n")
    assert texts.outcome(**HALF).status == "published"
    assert texts.rows("id", "text") == [
        ("r01", "plain"),
        ("r04", "fine, too"),
        ("r05", "of two\nlines"),
        ("r06", 'said "so"'),
        ("r07", 'a "b" c'),
        ("r10", "end"),
    ]
    assert texts.quarantined() == dict.fromkeys((2, 3, 8, 9), "row_is_readable")


def test_bad_rows_have_their_places_whatever_they_break(
    door: MakeDoor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_reader, "ROW_BYTES", 64)
    monkeypatch.setattr(csv_reader, "BATCH_BYTES", 100)
    numbers = door(id="string", n="int64")
    bad = {3: "r3", 10: 'r10,"1"0', 11: "r11,1,1", 25: "r25,x", 39: 'r39,"3"9', 40: "r40"}
    rows = [bad.get(number, f"r{number},{number}") for number in range(1, 42)]
    numbers.land("a.csv", "id,n\n" + "\n".join(rows) + "\n")
    assert numbers.outcome(**HALF).quarantined_rows == len(bad)
    assert set(numbers.quarantined()) == set(bad)
    assert set(numbers.rows("n")) == set(range(1, 42)) - set(bad)


def test_a_row_that_is_longer_than_what_is_held_at_once_refuses_its_file(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "ROW_BYTES", 1 << 20)
    events.land("a.csv", "id,n\n" + "r1,1\n" * (1 << 19) + "r2," + "1" * (3 << 20) + "\n")
    assert "a row is longer than 1 MiB" in (events.outcome().reason or "")


def test_a_file_of_backslash_quotes_is_refused_where_they_are_no_accident(door: MakeDoor) -> None:
    texts = door(id="string", text="string")
    texts.land("mysql.csv", "id,text\n" + "".join(f'r{n},"a \\"{n}\\" c"\n' for n in range(9)) + "r9,x\n")
    assert re.search(
        "9 of 10 rows are bad.*The quotes of the row break the rules", texts.outcome().reason or ""
    )


def test_quotes_at_the_edge_of_a_piece_are_read_as_anywhere_else(
    door: MakeDoor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = door(id="string", text="string")
    content = 'id,text\nr1,"a ""b"" c"\nr2,"",\r\n'.replace('"",\r\n', '""\r\n') + 'r3,"x\r\ny"\n'
    for size in range(1, 9):
        monkeypatch.setattr(landed_file, "PIECE_BYTES", size)
        texts.land("a.csv", content.replace("r", f"r{size}"))
        outcome = texts.outcome()
        assert (outcome.published_rows, outcome.quarantined_rows) == (3, 0), (size, outcome.reason)
    assert set(texts.rows("text")) == {'a "b" c', "", "x\r\ny"}


def test_a_line_end_inside_quotes_is_kept_wherever_the_pieces_of_the_file_end(
    door: MakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = door(id="string", text="string")
    for size in range(24, 32):
        monkeypatch.setattr(csv_reader, "ROW_BYTES", size)
        texts.land("a.csv", "id,text\r\n" + "".join(f'{size}{n},"x\r\ny"\r\n' for n in range(9)))
        assert texts.outcome().published_rows == 9
    assert set(texts.rows("text")) == {"x\r\ny"}


def test_half_a_character_in_a_key_of_json_spoils_its_line_only(events: Door) -> None:
    events.land("a.jsonl", '{"id": "r1", "\\ud800": 1}\n{"id": "r2", "n": 2}\n')
    assert events.outcome(**HALF).published_rows == 1
    assert events.quarantined() == {1: "row_is_readable"}


def test_a_line_of_too_many_levels_is_kept_by_itself_however_deep_it_is(events: Door) -> None:
    depths = [*range(190, 211), *range(700, 1000, 4)]
    deep = ['{"id": "d", "n": ' + "[" * depth + "]" * depth + "}\n" for depth in depths]
    text = '{"id": "good", "n": 1, "text": "' + "[" * 999 + '"}\n'
    events.land("a.jsonl", text + "".join(deep))

    outcome = events.outcome(maximum_bad_share=1, unknown_columns="ignore")

    assert (outcome.published_rows, outcome.quarantined_rows) == (1, len(depths))
    assert set(events.quarantined().values()) == {"row_is_readable", "values_have_the_columns_types"}


def test_a_flipped_bit_of_a_page_with_a_checksum_is_damage(events: Door) -> None:
    content = bytearray(
        parquet(
            {"id": ["r1", "r2", "r3", "r4"], "n": [11, 22, 33, 44]},
            compression="none",
            use_dictionary=False,
            write_page_checksum=True,
        )
    )
    content[content.index((33).to_bytes(8, "little"))] = 35
    events.land("flipped.parquet", bytes(content))
    outcome = events.outcome()
    assert outcome.status == "refused"
    assert "CRC checksum" in (outcome.reason or "")


def test_times_of_the_old_kind_are_held_to_the_microsecond_and_far_ones_are_not_bent(door: MakeDoor) -> None:
    times = door(id="string", at="timestamp")
    whole, cut = 1_767_225_600_123_456_000, 1_767_225_600_123_456_789
    old = pa.table({"id": ["a", "b"], "at": pa.array([whole, cut], pa.timestamp("ns"))})
    times.land("old.parquet", parquet(old, use_deprecated_int96_timestamps=True))
    assert times.outcome(**HALF).quarantined_rows == 1
    (row,) = Lake().read("events__quarantine").to_pylist()
    assert row["reason"] == 'at is not of type timestamp: "2026-01-01 00:00:00.123456789".'
    assert json.loads(row["row"]) == {"id": "b", "at": "2026-01-01 00:00:00.123456789"}
    far = pa.table({"id": ["far"], "at": pa.array([253_370_764_800_000_000], pa.timestamp("us"))})
    times.land("far.parquet", parquet(far, use_deprecated_int96_timestamps=True))
    assert times.outcome().status == "published"
    assert [(key, str(at)) for key, at in times.rows("id", "at")] == [
        ("a", "2026-01-01 00:00:00.123456+00:00"),
        ("far", "9999-01-01 00:00:00+00:00"),
    ]


@pytest.mark.parametrize("kind", [pa.decimal32(5, 2), pa.decimal64(15, 2)], ids=str)
def test_types_that_arrow_stores_but_does_not_compute_with_hold_the_same_values(
    events: Door, kind: pa.DataType
) -> None:
    numbers = pa.array([Decimal(1), Decimal("1.5"), None], kind)
    rows = pa.table({"id": pa.array(["r1", "r2", "r3"], pa.string_view()), "n": numbers})
    events.land("a.parquet", parquet(rows))
    assert events.outcome(**HALF).status == "published"
    assert events.rows("id", "n") == [("r1", 1), ("r3", None)]
    assert events.quarantined() == {2: "values_have_the_columns_types"}


@pytest.mark.parametrize(
    ("kind", "far"),
    [
        (pa.timestamp("us"), 253_402_300_800_000_000),
        (pa.timestamp("ms", "Europe/Berlin"), 253_402_300_800_000),
        (pa.timestamp("ns", "Europe/Berlin"), -(2**63) + 1),
        (pa.date32(), 2_932_897),
    ],
    ids=str,
)
def test_a_time_of_a_year_that_python_does_not_have_spoils_its_row_only(
    door: MakeDoor, kind: pa.DataType, far: int
) -> None:
    times = door(id="string", at="timestamp")
    times.land("a.parquet", parquet({"id": ["near", "far"], "at": pa.array([0, far], kind)}))
    assert times.outcome(**HALF).status == "published"
    assert (times.rows("id"), times.quarantined()) == (["near"], {2: "values_have_the_columns_types"})
    (row,) = Lake().read("events__quarantine").column("row").to_pylist()
    assert json.loads(row)["id"] == "far"


def test_a_whole_number_beside_a_null_stays_what_it_is_for_the_suite(door: MakeDoor) -> None:
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "account", "mostly": 0.5}}
    known = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "account", "value_set": [2**53, 2**53 + 1, 5, 6]},
    }
    accounts = door([unique, known], id="string", account="int64")
    accounts.land("accounts.csv", f"id,account\nr1,{2**53}\nr2,{2**53 + 1}\nr3,\nr4,5\nr5,6\n")
    assert accounts.outcome().status == "published"
    assert accounts.rows("account") == [2**53, 2**53 + 1, None, 5, 6]


# --- rows were promised -------------------------------------------------------------------------------------


def test_an_exact_copy_of_a_row_joins_once_and_rows_that_contradict_each_other_do_not_join(
    events: Door,
) -> None:
    events.land("twice.csv", "id,n\nr1,1\nr2,2\nr2,2\nr3,3\nr4,4\nr4,5\nr4,4\nr5,5.0\nr5,5\n")
    outcome = events.outcome(**HALF)
    assert (outcome.published_rows, outcome.quarantined_rows, outcome.repeated_rows) == (4, 3, 2)
    assert events.rows("id", "n") == [("r1", 1), ("r2", 2), ("r3", 3), ("r5", 5)]
    assert events.quarantined() == dict.fromkeys((5, 6, 7), "key_is_there_once")


def test_a_file_of_doubled_lines_joins_once(events: Door) -> None:
    events.land("doubled.csv", "id,n\n" + "".join(f"r{n},{n}\nr{n},{n}\n" for n in range(500)))
    outcome = events.outcome()
    assert (outcome.published_rows, outcome.repeated_rows, outcome.quarantined_rows) == (500, 500, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sheet.csv", 'id,n\nr1,1\nr2,2\nr3,3\nr4,4\n,\n,\n , \n,\n,\n"",""\n'),
        (
            "sheet.jsonl",
            '{"id": "r1", "n": 1}\n{}\n{"id": "r2", "n": 2}\n\n{"id": null, "n": null}\n'
            '{"id": "r3", "n": 3}\n{"id": "r4", "n": 4}\n',
        ),
        ("sheet.parquet", parquet({"id": ["r1", "r2", None, "r3", "r4"], "n": [1, 2, None, 3, 4]})),
    ],
)
def test_rows_that_hold_nothing_are_no_rows(events: Door, name: str, content: Any) -> None:
    events.land(name, content)
    outcome = events.outcome()
    assert (outcome.status, outcome.published_rows, outcome.quarantined_rows) == ("published", 4, 0)
    assert outcome.blank_rows > 0
    events.land("nothing.csv", "id,n\n,\n,\n")
    assert "no rows" in (events.outcome().reason or "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.csv",
            GOOD.replace("\n", ",more\n", 1).replace("1\n", "1,\n").replace("2\n", "2,\n")
            + ',, \n,,""\n,,more\n',
        ),
        (
            "a.jsonl",
            '{"id": "r1", "n": 1}\n{"id": "r2", "n": 2}\n{"more": " "}\n{"more": null}\n{"more": [0]}\n',
        ),
        (
            "a.parquet",
            parquet({"id": ["r1", "r2", None, None], "n": [1, 2, None, None], "": [[1], [], None, [0]]}),
        ),
    ],
)
def test_a_row_with_a_value_only_in_a_column_that_is_left_out_has_no_key(
    events: Door, name: str, content: Any
) -> None:
    events.land(name, content)
    outcome = events.outcome(**HALF, unknown_columns="ignore")
    assert (outcome.published_rows, outcome.quarantined_rows, outcome.blank_rows > 0) == (2, 1, True)
    assert set(events.quarantined().values()) == {"key_is_there_once"}


def test_a_header_alone_has_no_rows_also_where_its_line_does_not_end(events: Door) -> None:
    for content in ("id,n", "id,n\n", "id,n\r", '"id","n"', "\ufeffid,n"):
        events.land("a.csv", content)
        assert events.outcome().reason == "a.csv has no rows. Land it again with some."


def test_a_broken_row_at_the_end_of_a_whole_file_keeps_no_other(events: Door) -> None:
    events.land("a.csv", GOOD + "r3,3\nr4\n")
    events.land("a.jsonl", '{"id": "q1", "n": 1}\n{"id": "q2", "n": 2}\nthe end\n')
    result = events.ingest(**HALF)
    assert (result.published_rows, result.quarantined_rows) == (5, 2)


# --- moves --------------------------------------------------------------------------------------------------


def test_two_files_of_one_name_that_are_refused_are_both_kept_with_their_reasons(events: Door) -> None:
    contents = [f"id,amount\n{day},1\n".encode() for day in ("monday", "tuesday", "wednesday")]
    for content in (*contents, contents[1]):
        events.land("daily.csv", content)
        assert events.outcome().status == "refused"
    assert events.refused() == dict(zip(("daily.csv", "daily~2.csv", "daily~3.csv"), contents, strict=True))


def test_names_that_end_alike_only_in_what_is_cut_keep_a_reason_each(events: Door) -> None:
    names = ["x" * 246 + f"{number}.csv" for number in range(2)]
    for name in names:
        events.land(name, f"{name}\n")
    events.ingest()
    reasons = [entry for entry in (events.folder / ".refused").iterdir() if entry.name.endswith(".json")]
    assert {json.loads(entry.read_text())["file"] for entry in reasons} == set(names)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a." + "b" * 249 + ".csv", ".csv"),
        ("a." + "b" * 246 + ".csv.GZ", ".csv.GZ"),
        ("é" * 125 + "x.csv", ".csv"),
        ("b" * 250 + ".json", ".json"),
        ("x." + "€" * 84, ""),
        ("b" * 252 + ".gz", ".gz"),
    ],
)
def test_the_longest_name_is_numbered_within_the_room_of_a_name_and_keeps_its_ending(
    name: str, ending: str
) -> None:
    names = [with_number(name, number) for number in (1, 2, 3, 10**6)]
    assert names[0] == name
    assert len(set(names)) == len(names)
    assert all(0 < len(each.encode()) <= 255 and each.endswith(ending) for each in names)
    assert not any(each.startswith("~") or "\ufffd" in each for each in names)


def test_a_file_of_the_longest_name_that_is_refused_again_keeps_no_other(events: Door) -> None:
    name = "a." + "b" * 249 + ".csv"
    for content in ("wrong\n1\n", "wrong\n2\n"):
        events.land(name, content)
        assert events.outcome().status == "refused"
    raw = os.fsencode(events.folder.path) + b"/" + b"\xe9" * 251 + b".csv"
    Path(os.fsdecode(raw)).write_text(GOOD)
    os.utime(raw, (0, 0))
    assert events.outcome().status == "published"
    kept = [entry.name for entry in (events.folder / ".refused").iterdir() if entry.name.endswith(".csv")]
    assert (events.waiting(), len(kept)) == ([], 2)


def test_a_file_that_changes_while_it_moves_comes_back_beside_one_of_the_longest_name(tmp_path: Path) -> None:
    moved, source = tmp_path / "moved", tmp_path / ("b" * 251 + ".csv")
    moved.write_text("old")
    source.write_text("new")
    files._rename_back(moved, source)
    (back,) = set(tmp_path.iterdir()) - {source}
    assert (back.read_text(), back.suffix, source.read_text()) == ("old", ".csv", "new")


def test_two_names_that_are_not_text_do_not_become_one(events: Door) -> None:
    folder = Path(events.land("a.csv", GOOD).path).parent
    for byte in (b"\xe8", b"\xe9"):
        Path(os.fsdecode(os.fsencode(folder) + b"/caf" + byte + b".csv")).write_text(f"id,n\n{byte[0]},1\n")
    assert events.ingest().published_rows == 4
    assert events.waiting() == []


def test_an_archived_file_is_never_replaced_by_another_one(events: Door) -> None:
    landing = Landing("events")
    events.land("a.csv", GOOD)
    first = landed_file.take(landing, _arrival(landing, "a.csv"))
    assert first is not None
    landing.archive(first.arrival, first.batch_id)
    events.land("a.csv", "id,n\nother,1\n")
    assert not landing.archive(first.arrival, first.batch_id)  # one that came too late
    assert (events.folder / ".archive" / first.batch_id / "a.csv").read_text() == GOOD
    assert events.waiting() == ["a.csv"]


def _arrival(landing: Landing, name: str) -> Any:
    from tasks.data.landing import Arrival

    state = landing.state(name)
    assert state is not None
    return Arrival(name, state)


def test_a_file_that_its_writer_has_open_waits_until_it_is_closed(events: Door) -> None:
    path = events.land("slow.csv", "")
    with Path(path.path).open("w") as writer:
        writer.write("id,n\n" + "".join(f"slow-{n:02},1\n" for n in range(10)))
        writer.flush()
        os.utime(path.path, (0, 0))
        assert events.ingest().files == ()
        writer.write("".join(f"slow-{n:02},1\n" for n in range(10, 20)))
    assert events.ingest().published_rows == 20


def test_a_file_that_grows_while_it_is_judged_is_not_published_before_it_is_whole(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = events.land("slow.csv", GOOD)
    genuine = Landing.stage

    def grows(*arguments: Any) -> Any:
        with Path(path.path).open("a") as writer:
            writer.write("r3,3\n")
        return genuine(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Landing, "stage", grows)
        assert events.ingest().files == ()
    assert events.ingest().published_rows == 3


def test_a_file_that_grows_while_it_is_published_is_read_again(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = events.land("slow.csv", GOOD)
    genuine = Lake.append

    def grows(*arguments: Any, **how: Any) -> Any:
        with Path(path.path).open("a") as writer:
            writer.write("r3,3\n")
        return genuine(*arguments, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "append", grows)
        assert events.ingest().published_rows == 2
    assert events.waiting() == ["slow.csv"]
    assert events.ingest().published_rows == 3
    assert set(events.rows("id")) == {"r1", "r2", "r3"}
    assert events.waiting() == []


def test_a_file_that_was_written_just_now_is_looked_at_twice(
    events: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = events.land("a.csv", GOOD)
    os.utime(path.path)

    def writes_on(_: float) -> None:
        with Path(path.path).open("a") as writer:
            writer.write("r3,3\n")
        os.utime(path.path, (0, 0))

    with monkeypatch.context() as patched:
        patched.setattr("tasks.data.landing.time.sleep", writes_on)
        assert events.ingest().files == ()
    assert events.ingest().published_rows == 3


@pytest.mark.parametrize("ending", [".part", ".filepart", ".tmp", ".TMP", ".crdownload", "._COPYING_"])
def test_a_name_of_an_unfinished_file_is_left_alone(events: Door, ending: str) -> None:
    events.land(f"a.csv{ending}", GOOD)
    assert events.ingest().files == ()
    assert events.waiting() == [f"a.csv{ending}"]


def test_a_file_that_may_not_be_read_is_refused(events: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    events.land("a.csv", GOOD)
    monkeypatch.setattr(landed_file, "_copy", denied)
    assert "a.csv may not be read: Permission denied" in (events.outcome().reason or "")
