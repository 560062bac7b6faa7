"""Plain files are judged by what they hold: by themselves, against a reference, and for drift."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.contracts import FileVerdict
from tasks.errors import InvalidRequest
from tasks.monitoring.plain.check_data import check_data
from tasks.monitoring.plain.check_drift import check_drift
from tasks.monitoring.plain.page import page

ROWS = 2000
Change = Callable[[pd.DataFrame], pd.DataFrame]


def trips(seed: int, rows: int = ROWS, month: str = "2024-03") -> pd.DataFrame:
    """Rides of a month, a few of them odd as real ones are."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp(f"{month}-01") + pd.to_timedelta(
        np.sort(rng.uniform(0, 30 * 86_400, rows)).round(), unit="s"
    )
    miles = np.round(rng.lognormal(0.5, 0.8, rows), 2)
    return pd.DataFrame(
        {
            "trip_id": [f"{month}-{seed}-{place:06d}" for place in range(rows)],
            "picked_up": start,
            "left": start + pd.to_timedelta((miles * 240 + 60).round(), unit="s"),
            "miles": miles,
            "speed": np.round(rng.normal(12, 3, rows), 2),
            "riders": rng.choice([1, 2, 3, 4], rows, p=[0.7, 0.15, 0.1, 0.05]),
            "paid_by": rng.choice(["card", "cash", "none"], rows, p=[0.7, 0.28, 0.02]),
        }
    )


def with_no_dates(rows: pd.DataFrame) -> pd.DataFrame:
    """Each thirtieth row on the 31st of April."""
    return rows.assign(
        picked_up=rows["picked_up"].astype(str).where(rows.index % 30 > 0, "2024-04-31 10:00:00")
    )


def write(rows: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        rows.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        rows.to_json(path, orient="records", lines=True, date_format="iso")
    else:
        rows.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(trips(1), tmp_path_factory.mktemp("reference") / "march.csv")


def drift(reference: Path, change: Change, folder: Path, rows: int = ROWS) -> FileVerdict:
    changed = change(trips(2, rows, month="2024-04"))
    return check_drift([reference], write(changed, folder / "april.csv"))


def data(reference: Path, change: Change, folder: Path) -> FileVerdict:
    return check_data(write(change(trips(2, month="2024-04")), folder / "april.csv"), like=reference)


def reasons(found: FileVerdict, level: str) -> set[tuple[str, str]]:
    return {(signal.reason, signal.subject) for signal in found.signals if signal.level == level}


def test_the_next_month_is_fine(reference: Path, tmp_path: Path) -> None:
    assert drift(reference, lambda rows: rows, tmp_path).verdict == "fine"
    assert data(reference, lambda rows: rows, tmp_path).verdict == "fine"


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "csv.gz"])
def test_the_kind_of_file_does_not_matter(kind: str, reference: Path, tmp_path: Path) -> None:
    path = write(trips(2, month="2024-04"), tmp_path / f"april.{kind}")
    assert check_drift([reference], path).verdict == "fine"
    assert check_data(path, like=reference).verdict == "fine"


@pytest.mark.parametrize(
    ("change", "reason", "column"),
    [
        (lambda rows: rows.assign(speed=rows["speed"] + 1.5), "location", "speed"),
        (lambda rows: rows.assign(miles=rows["miles"] * 1.609344), "location", "miles"),
        (
            lambda rows: rows.assign(paid_by=rows["paid_by"].where(rows.index % 10 > 0, "phone")),
            "new_category",
            "paid_by",
        ),
        (
            lambda rows: rows.assign(riders=rows["riders"].where(rows.index % 5 > 0, 4)),
            "categories",
            "riders",
        ),
        (lambda rows: rows.assign(speed=rows["speed"].where(rows.index % 10 > 0)), "nulls", "speed"),
        (lambda rows: rows.assign(speed=12.0), "location", "speed"),
    ],
)
def test_a_change_is_named_with_its_column(
    change: Change, reason: str, column: str, reference: Path, tmp_path: Path
) -> None:
    found = drift(reference, change, tmp_path)
    assert found.verdict == "drift"
    assert (reason, column) in reasons(found, "alarm")
    assert column in " ".join(signal.why for signal in found.signals)


def test_a_change_that_no_single_column_shows_is_drift(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 3000)), rng.normal(size=(2, 3000))
    before = write(pd.DataFrame({"a": one[0], "b": one[1]}), tmp_path / "before.csv")
    now = write(pd.DataFrame({"a": other[0], "b": 0.9 * other[0] + 0.436 * other[1]}), tmp_path / "now.csv")
    found = check_drift([before], now)
    assert reasons(found, "alarm") == {("joint", "2 columns together")}


def test_whole_numbers_that_gaps_made_floats_are_no_drift_in_themselves(
    reference: Path, tmp_path: Path
) -> None:
    gaps = drift(
        reference,
        lambda rows: rows.assign(riders=rows["riders"].where(rows.index % 50 > 0).astype(float)),
        tmp_path,
    )
    assert gaps.verdict == "fine"


def test_times_ids_and_what_stays_the_same_are_left_out_and_said(reference: Path, tmp_path: Path) -> None:
    found = drift(reference, lambda rows: rows, tmp_path)
    assert set(found.left_out) == {"trip_id", "picked_up", "left"}
    assert all(name in " ".join(signal.why for signal in found.signals) for name in found.left_out)


def test_what_is_certain_but_tiny_is_told_and_not_acted_on(tmp_path: Path) -> None:
    before = write(trips(1, 50_000), tmp_path / "before.parquet")
    now = write(trips(2, 50_000).assign(speed=lambda rows: rows["speed"] + 0.3), tmp_path / "now.parquet")
    found = check_drift([before], now)
    assert found.verdict == "fine"
    assert ("location", "speed") in reasons(found, "note")


def test_files_that_differ_among_themselves_are_the_measure(tmp_path: Path) -> None:
    """Each month has another mean; only against one of them alone is the next one drift."""
    months = [
        write(
            trips(seed).assign(speed=lambda rows, seed=seed: rows["speed"] + seed % 3),
            tmp_path / f"{seed}.csv",
        )
        for seed in range(6)
    ]
    now = write(trips(9).assign(speed=lambda rows: rows["speed"] + 1.2), tmp_path / "now.csv")
    assert check_drift(months[:1], now).verdict == "drift"
    assert check_drift(months, now).verdict == "fine"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.assign(miles=rows["miles"] * 1.609344), "unit"),
        (lambda rows: rows.assign(miles=rows["speed"], speed=rows["miles"]), "swapped"),
        (lambda rows: rows.assign(picked_up=rows["left"], left=rows["picked_up"]), "order"),
        (lambda rows: rows.assign(picked_up=rows["picked_up"] + pd.DateOffset(years=60)), "future"),
        (lambda rows: rows.assign(picked_up=pd.Timestamp("1970-01-01")), "placeholder_time"),
        (lambda rows: rows.assign(picked_up=rows["picked_up"] - pd.DateOffset(years=1)), "another_time"),
        (with_no_dates, "impossible_date"),
        (lambda rows: pd.concat([rows, rows[:400]]), "repeated_rows"),
        (lambda rows: rows.drop(columns="riders"), "columns"),
        (lambda rows: rows.assign(more=1), "columns"),
        (lambda rows: rows.assign(speed="fast"), "type"),
        (lambda rows: rows.assign(speed=rows["speed"].where(rows.index % 3 > 0)), "nulls"),
        (lambda rows: rows.assign(speed=rows["speed"] * 10), "unit"),
        (lambda rows: rows.assign(speed=12.0), "frozen"),
        (lambda rows: rows.assign(paid_by="cafÃ© dÃ©jÃ  vu"), "wrong_encoding"),
    ],
)  # fmt: skip
def test_broken_data_is_rejected_by_its_own_reason(
    change: Change, reason: str, reference: Path, tmp_path: Path
) -> None:
    found = data(reference, change, tmp_path)
    assert found.verdict == "rejected"
    assert reason in {name for name, _ in reasons(found, "incident")}


def test_a_column_that_comes_alive_is_told_and_passes(tmp_path: Path) -> None:
    before = write(trips(1).assign(surcharge=None), tmp_path / "before.csv")
    now = write(trips(2).assign(surcharge=2.5), tmp_path / "now.csv")
    found = check_data(now, like=before)
    assert found.verdict == "fine"
    assert ("comes_alive", "surcharge") in reasons(found, "note")
    assert check_drift([before], now).verdict == "fine"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.csv", b"", "empty"),
        ("header.csv", b"a,b\n", "no rows"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)[:-12], "unpacked"),
        ("windows.csv", "a,b\n1,café\n".encode("cp1252"), "UTF-8"),
        ("half.csv", b"a,b\n1,2\n3", "middle of a row"),
        ("cut.parquet", b"PAR1" + b"\0" * 100, "Parquet"),
        ("half.jsonl", b'{"a": 1}\n{"a": ', "cut off"),
        ("twice.csv", b"a,a\n1,2\n", "more than once"),
        ("what.xlsx", b"PK", "kind of file"),
    ],
)
def test_an_unreadable_file_is_rejected_in_a_sentence(
    name: str, content: bytes, told: str, reference: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert (check_data(path).verdict, check_drift([reference], path).verdict) == ("rejected", "rejected")
    assert told in check_data(path).why


def test_half_a_parquet_file_is_rejected(tmp_path: Path) -> None:
    whole = write(trips(1), tmp_path / "whole.parquet").read_bytes()
    half = tmp_path / "half.parquet"
    half.write_bytes(whole[: len(whole) // 2])
    assert check_data(half).verdict == "rejected"


def test_too_few_rows_cannot_be_judged(reference: Path, tmp_path: Path) -> None:
    assert drift(reference, lambda rows: rows, tmp_path, rows=10).verdict == "cannot_tell"
    assert data(reference, lambda rows: rows[:1], tmp_path).verdict == "cannot_tell"


def test_files_without_a_common_column_cannot_be_judged(reference: Path, tmp_path: Path) -> None:
    other = write(pd.DataFrame({"x": np.arange(100) % 7}), tmp_path / "other.csv")
    assert check_drift([reference], other).verdict == "cannot_tell"


def labelled(seed: int, *, flip: float = 0.0, more: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 2))
    label = (x[:, 0] + 0.5 * rng.normal(size=3000) > -more).astype(int)
    turned = rng.random(3000) < flip
    guess = (x[:, 0] > 0).astype(int)
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(turned, 1 - label, label), "guess": guess})


@pytest.mark.parametrize("predictions", [None, "guess"])
def test_inverted_labels_are_drift_though_the_inputs_are_quiet(
    predictions: str | None, tmp_path: Path
) -> None:
    before, same = write(labelled(1), tmp_path / "before.csv"), write(labelled(2), tmp_path / "same.csv")
    turned = write(labelled(3, flip=1.0), tmp_path / "turned.csv")
    assert check_drift([before], same, "y", predictions).verdict == "fine"
    found = check_drift([before], turned, "y", predictions)
    assert found.verdict == "drift"
    assert {signal.question for signal in found.signals if signal.level == "alarm"} == {"target"}
    assert found.performance[0].now.value < 0.5 < found.performance[0].before.value


def test_another_prior_of_the_label_is_drift(tmp_path: Path) -> None:
    before, now = (
        write(labelled(1), tmp_path / "before.csv"),
        write(labelled(2, more=0.8), tmp_path / "now.csv"),
    )
    assert ("label_prior", "y") in reasons(check_drift([before], now, "y"), "alarm")


def test_a_column_of_labels_that_is_not_there_is_a_wrong_call(reference: Path) -> None:
    with pytest.raises(InvalidRequest, match="no column 'y'"):
        check_drift([reference], reference, labels="y")


def test_the_page_loads_nothing_and_shows_names_as_text(tmp_path: Path) -> None:
    rows = trips(1).rename(columns={"speed": "<script>"})
    before = write(rows, tmp_path / "before.csv")
    made = page(check_drift([before], write(rows.assign(**{"<script>": 3.0}), tmp_path / "now.csv")))
    assert "<script" not in made
    assert "http" not in made.replace("http-equiv", "")
    assert "&lt;script&gt; has changed" in made


def test_a_verdict_is_plain_json(reference: Path, tmp_path: Path) -> None:
    found = drift(reference, lambda rows: rows, tmp_path)
    assert FileVerdict.model_validate(json.loads(found.model_dump_json())) == found
