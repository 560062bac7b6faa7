"""Clumsy and hostile files: other separators, blank names, bytes of a lost disk, broken references."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.data.separators import separator_of
from tasks.errors import InvalidRequest
from tasks.monitoring.plain.check_data import check_data
from tasks.monitoring.plain.check_drift import check_drift


def rows(seed: int, mean: float = 10.0, count: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"size": rng.normal(mean, 2, count).round(3), "kind": rng.choice(["a", "b"], count)})


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.csv"
    rows(1).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(("separator", "decimal"), [(";", "."), (";", ","), ("\t", "."), ("|", ".")])
def test_another_separator_changes_no_verdict(
    separator: str, decimal: str, reference: Path, tmp_path: Path
) -> None:
    same, other = tmp_path / "same.csv", tmp_path / "other.csv"
    rows(2).to_csv(same, index=False, sep=separator, decimal=decimal)
    rows(2, mean=12.0).to_csv(other, index=False, sep=separator, decimal=decimal)
    assert check_data(same, like=reference).verdict == "fine"
    assert check_drift([reference], same).verdict == "fine"
    assert check_drift([reference], other).verdict == "drift"


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        (b"a,b;c\n", None),
        (b"alone\n", None),
        (b'\xef\xbb\xbf"a";"b,c"\r\n', None),
        (b'\xef\xbb\xbf"a";"b"\r\n', ";"),
        (b"a\tb|c\td\n", "\t"),
    ],
)
def test_only_a_header_without_a_comma_has_another_separator(header: bytes, separator: str | None) -> None:
    assert separator_of(header) == separator


def test_texts_with_nul_bytes_are_rejected_by_their_column(tmp_path: Path) -> None:
    path = tmp_path / "lost.csv"
    path.write_text("size,kind\n" + "".join(f"{place},a\0\n" for place in range(50)))
    found = check_data(path)
    assert found.verdict == "rejected"
    assert "kind" in found.why
    assert "NUL" in found.why


@pytest.mark.parametrize("names", [["", "kind"], ["kind", "Kind"]])
def test_a_blank_name_or_one_in_capitals_stops_nothing(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    rows(1).set_axis(names, axis=1).to_csv(path, index=False)
    assert check_data(path).verdict == "fine"


def test_a_broken_reference_is_a_wrong_call_and_rejects_no_file(tmp_path: Path, reference: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("")
    with pytest.raises(InvalidRequest, match="The reference cannot be read: broken"):
        check_data(reference, like=broken)
    with pytest.raises(InvalidRequest, match="The reference cannot be read: broken"):
        check_drift([reference, broken], reference)


def test_whole_numbers_of_many_values_are_no_codes(tmp_path: Path) -> None:
    """Degrees: a warmer day has values that the reference has not, and is drift only where it is far off."""
    rng = np.random.default_rng(0)
    paths = tmp_path / "before.csv", tmp_path / "now.csv"
    for path, mean in zip(paths, (15.0, 15.3), strict=True):
        degrees = rng.normal(mean, 3, 2000).round().astype(int)
        pd.DataFrame({"degrees": degrees, "kind": rng.choice(["a", "b"], 2000)}).to_csv(path, index=False)
    assert check_drift([paths[0]], paths[1]).verdict == "fine"


def test_a_season_that_moves_on_as_before_is_quiet_and_a_jump_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-03-01", periods=1440, freq="h")
    warmth = np.arange(1440) / 200 + rng.normal(0, 3, 1440)
    paths = [tmp_path / f"{name}.csv" for name in ("march", "april", "jump")]
    halves = (slice(0, 720), slice(720, 1440), slice(720, 1440))
    for path, half, more in zip(paths, halves, (0.0, 0.0, 9.0), strict=True):
        pd.DataFrame({"at": hours[half], "warmth": warmth[half] + more}).to_csv(path, index=False)
    assert check_drift([paths[0]], paths[1]).verdict == "fine"
    assert check_drift([paths[0]], paths[2]).verdict == "drift"


def test_labels_that_have_not_come_cannot_be_judged_and_drift_is_told_all_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.csv" for name in ("before", "same", "other")]
    for path, made in zip(paths, (rows(1), rows(2), rows(2, mean=12.0)), strict=True):
        made.assign(bought=1 if path == paths[0] else None).to_csv(path, index=False)
    same, other = (check_drift([paths[0]], path, labels="bought") for path in paths[1:])
    assert same.verdict == "cannot_tell"
    assert "bought" in same.why
    assert other.verdict == "drift"


def parts(folder: Path, changed: Callable[[int, pd.DataFrame], pd.DataFrame], count: int) -> list[Path]:
    """A reference of several files, and one to judge whose sizes are 3 standard deviations larger."""
    paths = [folder / f"{place}.csv" for place in range(count)]
    for place, path in enumerate(paths):
        changed(place, rows(place)).to_csv(path, index=False)
    rows(99, mean=16.0).to_csv(folder / "now.csv", index=False)
    return [*paths, folder / "now.csv"]


@pytest.mark.parametrize(("count", "empty"), [(3, {1}), (10, set(range(1, 9))), (10, {0, *range(2, 10)})])
def test_parts_of_a_reference_without_values_of_a_column_hide_no_change(
    count: int, empty: set[int], tmp_path: Path
) -> None:
    """Not by the columns, and not by the classifier, which tells an empty column from a full one."""
    *before, now = parts(
        tmp_path, lambda place, made: made.assign(size=None) if place in empty else made, count
    )
    found = check_drift(before, now)
    assert {("location", "size"), ("joint", "2 columns together")} <= {
        (signal.reason, signal.subject) for signal in found.signals if signal.level == "alarm"
    }
    label = check_drift(before, now, labels="size").signals
    assert [signal.level for signal in label if signal.reason == "label_prior"] == ["alarm"]


def test_a_column_of_too_few_values_is_told_and_not_called_unchanged(tmp_path: Path) -> None:
    *before, now = parts(tmp_path, lambda _, made: made.assign(size=made["size"].where(made.index < 3)), 1)
    found = check_drift(before, now)
    assert "size was not compared: the reference has 3 values of it, too few to tell." in [
        signal.why for signal in found.signals
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [None, "kind"])
def test_predictions_that_the_reference_lacks_are_no_numbers(labels: str | None, tmp_path: Path) -> None:
    *before, now = parts(tmp_path, lambda _, made: made.assign(size=None), 3)
    found = check_drift(before, now, labels, predictions="size")
    assert [signal.reason for signal in found.signals if signal.subject == "size"] == ["nulls"]
    assert not any(np.isnan(signal.value) for signal in found.signals if signal.value is not None)


def test_a_small_reference_judges_answers_too(tmp_path: Path) -> None:
    """A third of its few blocks is not fitted to, and is enough to know how much they differ."""
    paths = [tmp_path / f"{name}.csv" for name in ("before", "now")]
    for path in paths:
        made = rows(len(path.name))
        is_large = made["size"] > 10
        made.assign(large=is_large if path == paths[0] else ~is_large).to_csv(path, index=False)
    found = check_drift([paths[0]], paths[1], labels="large")
    assert "performance" in {signal.reason for signal in found.signals if signal.level == "alarm"}


def test_infinity_is_no_number(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.parquet" for name in ("before", "now")]
    for path, mean in zip(paths, (10.0, 16.0), strict=True):
        made = rows(len(path.name), mean)
        made["size"] = made["size"].where(made.index % 20 > 0, np.inf)
        made.to_parquet(path)
    found = check_drift([paths[0]], paths[1])
    assert "location" in {signal.reason for signal in found.signals if signal.level == "alarm"}


def test_broken_quotes_are_judged_where_the_state_folder_cannot_be_written(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "file" / "home"))
    path = tmp_path / "quotes.csv"
    path.write_text(reference.read_text() + '"1"2,a\n')
    assert check_drift([reference], path).verdict == "fine"
    assert "1 row" in check_data(path).why + " ".join(signal.why for signal in check_data(path).signals)


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_file_that_is_too_wide_is_said_to_be_at_once(kind: str, reference: Path, tmp_path: Path) -> None:
    path = tmp_path / f"wide.{kind}"
    made = pd.DataFrame(np.ones((2, 1001)), columns=[f"c{place}" for place in range(1001)])
    write = {"csv": made.to_csv, "parquet": made.to_parquet}.get(kind)
    if write:
        write(path, index=False)
    else:
        made.to_json(path, orient="records", lines=True)
    for judge in (check_data, lambda file: check_drift([reference], file)):
        with pytest.raises(InvalidRequest, match="has 1001 columns, and at most 1000"):
            judge(path)
