"""A proposed suite lets its sample and its like in, keeps a spoiled file out, and writes over nothing."""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from new_suite.columns import learn_pattern
from new_suite.propose import propose
from tasks.data.suites import load_suite
from tasks.errors import InvalidRequest
from tasks.settings import settings
from tests.conftest import PROJECT
from tests.unit.new_suite.door import Door

TAXI = PROJECT.parent / "shared" / "data" / "taxi"
START = datetime(2026, 1, 5, tzinfo=UTC)
Spoil = Callable[[pd.DataFrame], None]


@pytest.fixture(autouse=True)
def suites(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Great Expectations project without a suite."""
    project = home / "great_expectations"
    (project / "expectations").mkdir(parents=True)
    shutil.copy(PROJECT / "great_expectations" / "great_expectations.yml", project)
    monkeypatch.setenv("PERENNIAL_SUITES", str(project))
    settings.cache_clear()
    return project / "expectations"


def trips(seed: int, count: int = 2000) -> pd.DataFrame:
    """Trips with a key, two times of which one comes first, and two columns that are missing together."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        begins = START + timedelta(minutes=chance.randrange(40000))
        missing = chance.random() < 0.03
        rows.append(
            {
                "trip_id": f"t{seed}-{number:06}",
                "begins_at": begins.isoformat(),
                "ends_at": (begins + timedelta(minutes=chance.randrange(1, 60))).isoformat(),
                "day": begins.date().isoformat(),
                "zone": f"{chance.randrange(30):03}",
                "pays_by": chance.choice(["card", "cash"]),
                "fare": round(3 + chance.expovariate(0.1), 2),
                "late": chance.randrange(2),
                "note": "".join(chance.choices("abcdefgh ", k=chance.randrange(5, 60))).strip() or "a",
                "people": None if missing else chance.randrange(1, 5),
                "vendor": None if missing else chance.choice("ABC"),
            }
        )
    frame = pd.DataFrame(rows)
    return frame.astype({"people": "Int64"})


def written(home: Path, name: str, frame: pd.DataFrame) -> Path:
    path = home / name
    if path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def cents(frame: pd.DataFrame) -> None:
    frame["fare"] *= 100


def negative(frame: pd.DataFrame) -> None:
    frame.loc[::5, "fare"] *= -1


def exchanged(frame: pd.DataFrame) -> None:
    frame[["begins_at", "ends_at"]] = frame[["ends_at", "begins_at"]].to_numpy()


def other_words(frame: pd.DataFrame) -> None:
    frame.loc[::5, "pays_by"] = "CARD"


def missing(frame: pd.DataFrame) -> None:
    frame.loc[::5, "people"] = None
    frame.loc[::5, "vendor"] = None


def missing_apart(frame: pd.DataFrame) -> None:
    frame.loc[::10, "people"] = None


def epochs(frame: pd.DataFrame) -> None:
    frame.loc[::5, "day"] = "1900-01-01"


@pytest.mark.parametrize("kind", ["csv.gz", "jsonl", "parquet"])
def test_a_sample_and_another_of_its_source_join_whole(home: Path, kind: str) -> None:
    door = Door(home, written(home, f"sample.{kind}", trips(1)))

    assert door.table.key == "trip_id"
    assert door.table.columns == {
        "trip_id": "string",
        "begins_at": "timestamp",
        "ends_at": "timestamp",
        "day": "date",
        "zone": "string",
        "pays_by": "string",
        "fare": "float64",
        "late": "int64",
        "note": "string",
        "people": "int64",
        "vendor": "string",
    }
    outcomes = [door.land(home / f"sample.{kind}"), door.land(written(home, f"next.{kind}", trips(2)))]
    assert [outcome.status for outcome in outcomes] == ["published", "published"], [
        each.reason for each in outcomes
    ]
    assert max(outcome.quarantined_rows for outcome in outcomes) <= 4


SPOILED: dict[Spoil, str] = {
    cents: "to_be_between fare",
    negative: "to_be_between fare",
    exchanged: "pair_values_a_to_be_greater_than_b ends_at, begins_at",
    other_words: "to_be_in_set pays_by",
    missing: "proportion_of_non_null_values_to_be_between people",
    missing_apart: "to_be_null vendor",
    epochs: "to_be_between day",
}


def test_a_spoiled_file_is_refused_for_what_was_spoiled(home: Path) -> None:
    door = Door(home, written(home, "sample.csv", trips(1)))
    for spoil, said in SPOILED.items():
        frame = trips(2)
        spoil(frame)

        outcome = door.land(written(home, f"{spoil.__name__}.csv", frame))

        assert outcome.status == "refused", spoil.__name__
        assert said in str(outcome.reason)


def month(home: Path, name: str) -> Path:
    """A real month, with the key that it lacks."""
    frame = pd.read_csv(TAXI / f"yellow_sample_{name}.csv.gz", dtype=str, keep_default_na=False)
    frame.insert(0, "trip_id", [f"{name}-{number}" for number in range(len(frame))])
    return written(home, f"{name}.csv", frame)


@pytest.mark.skipif(not TAXI.is_dir(), reason=f"There is no real data in {TAXI}.")
@pytest.mark.parametrize(
    ("sample", "joins", "drifted"), [("2019-01", "2019-02", None), ("2019-06", "2020-03", "2020-04")]
)
def test_what_publishers_really_ship_joins_and_a_month_that_has_drifted_does_not(
    home: Path, sample: str, joins: str, drifted: str | None
) -> None:
    door = Door(home, month(home, sample))

    outcome = door.land(month(home, joins))

    assert outcome.status == "published", outcome.reason
    assert outcome.quarantined_rows < 200
    if drifted:
        assert door.land(month(home, drifted)).status == "refused"


def test_a_flight_of_autumn_joins_by_a_proposal_from_spring(home: Path) -> None:
    program = PROJECT / "models" / "flight_delay" / "example_data.py"
    python = settings().python("flight_delay")
    landed = home / "flights"
    subprocess.run([python, program, "--output", landed, "--rows", "4000", "--batches", "4"], check=True)
    spring, *_, autumn = sorted(landed.iterdir())

    door = Door(home, spring, "flights")

    assert door.table.key == "flight_id"
    outcome = door.land(autumn)
    assert outcome.status == "published", outcome.reason


def test_what_the_sample_cannot_say_is_named_and_not_guessed(home: Path) -> None:
    frame = trips(1).drop(columns="trip_id")
    frame["year"], frame["never"] = 2026, None
    frame["count"] = range(len(frame))
    frame["count"] //= 2
    frame["level"] = ["NA" if number % 40 == 0 else str(number % 7) for number in range(len(frame))]

    proposal = propose("trips", str(written(home, "sample.csv", frame)))

    assert "key" not in proposal.table
    assert (proposal.table["columns"]["never"], proposal.table["columns"]["level"]) == ("string", "int64")
    said = "\n".join(proposal.remarks)
    assert "No column identifies a row" in said
    assert "year: no rule is proposed, because the sample has only one value, '2026'" in said
    assert "count: no rule is proposed, because the first half" in said
    assert "never: it has no value in the sample" in said
    assert "level: 50 of 2,000 values are not int64, such as 'NA'" in said


def test_a_key_that_is_only_the_first_column_without_repeats_is_said_to_be(home: Path) -> None:
    frame = trips(1).rename(columns={"trip_id": "made_at"})
    frame.insert(0, "id", [number // 2 for number in range(len(frame))])

    proposal = propose("trips", str(written(home, "sample.csv", frame)))

    assert proposal.table["key"] == "made_at"
    said = "id repeats or is missing in some rows, and the key made_at is only the first column without"
    assert said in "\n".join(proposal.remarks)


def test_every_expectation_has_its_reason(home: Path, suites: Path) -> None:
    proposal = propose("trips", str(written(home, "sample.csv", trips(1))))

    declared = json.loads((suites / "trips.json").read_text())["expectations"]
    assert len(load_suite("trips").expectations) == proposal.expectations == len(declared)
    assert all(each["notes"] for each in declared)


def test_nothing_that_is_there_is_written_over(home: Path, suites: Path) -> None:
    sample = str(written(home, "sample.csv", trips(1)))
    (suites / "trips.json").write_text("reviewed")

    beside = propose("trips", sample)
    proposed = beside.suite.read_text()
    with pytest.raises(InvalidRequest, match="neither is written over"):
        propose("trips", sample)

    assert (beside.suite.name, beside.in_place) == ("trips.json.proposed", False)
    assert ((suites / "trips.json").read_text(), beside.suite.read_text()) == ("reviewed", proposed)


WIDE = ",".join(f"c{number}" for number in range(3000))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b\n", "has columns but no rows"),
        ("a.csv", b"\n\n", "has no columns and no rows"),
        ("a.csv", b"a,\n1,2\n", "a column without a name"),
        ("a.csv", b"a,A\n1,2\n", "the columns ['a'] more than once"),
        ("a.csv", b"batch_id,b\n1,2\n", "which the lake adds itself"),
        ("a.csv", b"a;b\n1;2\n", "its values are not comma-separated"),
        ("a.csv", b"a,b\n1,\xff\n", "is not UTF-8 text"),
        ("a.csv", b"a,b\n1,2\n3,4,5\n", "Expected Number of Columns: 2 Found: 3"),
        ("a.csv", b'a,b\n1,"x\n3,4\n', "cannot be read"),
        ("a.csv", f"{WIDE}\n{WIDE}\n".encode(), "has 3000 columns"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00", "cannot be read"),
        ("a.jsonl", b'{"a": 1}\n{"a": "x"}\n', "of several types (1 UBIGINT, 1 VARCHAR)"),
        ("a.jsonl", b'{"a": [1]}\n', "the JSON types ['ARRAY']"),
        ("a.jsonl", b"[1]\n", "lines that are not JSON objects"),
        ("a.jsonl", b'{"a": 1}\n{"a":', "cannot be read"),
        ("a.parquet", b"PAR1 and no more", "cannot be read"),
        ("a.txt", b"a\n1\n", "the kind of file is unknown"),
    ],
)
def test_a_file_that_is_no_sample_is_refused_in_a_sentence_and_nothing_is_written(
    home: Path, suites: Path, name: str, content: bytes, said: str
) -> None:
    (home / name).write_bytes(content)

    with pytest.raises(InvalidRequest) as refused:
        propose("trips", str(home / name))

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(suites.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "file", "said"),
    [
        ("Trips", "a.csv", "cannot be a table's name"),
        ("trips__quarantine", "a.csv", "two underscores in a row"),
        ("trips", "", "Say which file to look at"),
        ("trips", "nowhere.csv", "nowhere.csv is not a file"),
    ],
)
def test_a_request_that_names_no_table_or_no_file_is_refused(table: str, file: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        propose(table, file)


@pytest.mark.parametrize("key", ["*", "a*", 'say "it"', "it's", "a/b", "~1", "$", "c.d", "e[0]", "f\\g"])
def test_a_key_of_json_is_a_column_whatever_it_is_called(home: Path, key: str) -> None:
    rows = [json.dumps({"id": f"r{number}", key: number}) for number in range(9)]
    (home / "a.jsonl").write_text("\n".join(rows) + "\n")

    assert propose("trips", str(home / "a.jsonl")).table["columns"] == {"id": "string", key: "int64"}


@pytest.mark.parametrize("values", [("0.0", "1.75e308"), ("1e308", "1.7e308"), ("0.0", "5e-324")])
def test_numbers_at_the_ends_of_their_type_have_a_range(home: Path, values: tuple[str, str]) -> None:
    rows = [f"r{number},{values[number // 2 % 2]}" for number in range(200)]
    (home / "a.csv").write_text("id,n\n" + "\n".join(rows) + "\n")

    proposal = propose("trips", str(home / "a.csv"))

    assert proposal.table["columns"]["n"] == "float64"
    assert "expect_column_values_to_be_between" in proposal.suite.read_text()
    assert "Infinity" not in proposal.suite.read_text()


def test_the_command_prints_what_pipeline_yaml_takes(home: Path, suites: Path) -> None:
    """Also of a file whose name a shell would run."""
    sample = written(home, """a 'sample' of "`false`" and $(false) $x.csv""", trips(1, 300))
    environment: dict[str, Any] = {**os.environ, "PERENNIAL_SUITES": str(suites.parent)}

    made = subprocess.run(
        ["make", "-s", "suite", "TABLE=trips", f"FILE={sample}"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "data:\n  table: trips\n  key: trip_id\n" in made.stdout
    assert "The sample has only 300 rows" in made.stdout
    assert (suites / "trips.json").exists()


def test_a_pattern_is_proposed_only_where_python_s_re_finds_it_in_every_text() -> None:
    """To Python a no-break space is a blank, to RE2 it is none."""
    assert learn_pattern(pa.array(["https://a.org/b", "https://a.org/c"])) is not None
    assert learn_pattern(pa.array(["https://a.org/b", "https://a.org/\u00a0c"])) is None
