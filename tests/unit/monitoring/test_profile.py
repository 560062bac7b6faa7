"""A profile counts what is there, and nothing else is kept of the rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tasks.contracts import Reference, WindowProfile
from tasks.monitoring.profiles import stored
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import BINS, set_scales
from tasks.monitoring.windows import MOST_FOLLOWED, judged_together, judged_with, large_enough, newest
from tasks.spec import ColumnType, MonitorSpec
from tasks.stores.lake import Lake

TYPES: dict[str, ColumnType] = {"x": "float64", "few": "int64", "c": "string", "t": "string", "on": "bool"}
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def rows(count: int = 1000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(size=count),
            "few": rng.integers(0, 4, count),
            "c": rng.choice(["a", "b", 'quo"te', "it's"], count),
            "t": ["one two  three"] * count,
            "on": rng.random(count) < 0.3,
        }
    )


def profiled(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[Reference, WindowProfile]:
    columns = followed(TYPES, frozenset({"t"}))
    with duckdb.connect() as session:
        session.register("reference", pa.Table.from_pandas(reference, preserve_index=False))
        session.register("window", pa.Table.from_pandas(window, preserve_index=False))
        scales = set_scales(session, "reference", columns)
        whole = profile(session, "reference", columns, scales, START - DAY, START)
        made = profile(session, "window", columns, scales, START, START + DAY)
    reference_of = Reference(
        champion_run_id="run", snapshot_sha256="s", scales=scales, days=(), whole=whole, texts=("t",)
    )
    return reference_of, made


def test_the_counts_are_those_that_numpy_gives() -> None:
    known, seen = rows(), rows(400, seed=1)
    reference, made = profiled(known, seen)
    scales = {scale.column: scale for scale in reference.scales}

    edges = np.array(scales["x"].edges)
    expected = np.bincount(np.searchsorted(edges, seen["x"], side="left"), minlength=BINS)

    assert len(edges) == BINS - 1
    assert made.columns["x"].counts == tuple(expected)
    assert scales["few"].edges == (0.0, 1.0, 2.0)
    assert made.columns["few"].counts == tuple(np.bincount(seen["few"]))
    assert dict(zip(scales["c"].values, made.columns["c"].counts, strict=True)) == dict(
        seen["c"].value_counts()
    )
    assert made.columns["x"].total == pytest.approx(seen["x"].sum())
    assert made.columns["on"].counts == tuple(seen["on"].map({True: "true", False: "false"}).value_counts())
    assert (made.rows, made.columns["t: words"].total) == (400, 400 * 3.0)


def test_nulls_blanks_infinities_and_new_values_are_counted_apart() -> None:
    seen = rows(100)
    seen.loc[:9, "x"] = np.nan
    seen.loc[10:14, "x"] = np.inf
    seen.loc[15, "x"] = 99.0
    seen.loc[:4, "c"] = "never seen"
    seen.loc[5, "c"] = None
    seen.loc[:19, "t"] = " "

    _, made = profiled(rows(), seen)

    assert (made.columns["x"].nulls, made.columns["x"].new) == (15, 1)
    assert (made.columns["c"].nulls, made.columns["c"].new) == (1, 5)
    assert made.columns["t: characters"].nulls == 20


def test_an_empty_window_has_a_profile() -> None:
    _, made = profiled(rows(), rows(0).astype(rows().dtypes))
    assert made.rows == 0
    assert sum(made.columns["x"].counts) == 0


def test_profiles_and_references_are_kept_once_and_come_back_as_they_were(home: Path) -> None:
    reference, made = profiled(rows(), rows(300, seed=2))
    lake = Lake()
    later = made.model_copy(update={"rows": 301})

    ids = [stored.keep_reference(lake, "m", reference) for _ in range(2)]
    for one in (made, made, later):
        stored.keep_profile(lake, "m", "run", one)

    assert ids[0] == ids[1] == stored.id_of(reference)
    assert stored.newest_reference(lake, "m", "run") == reference
    assert stored.newest_reference(lake, "m", "another") is None
    assert stored.reference_by_id(lake, "m", ids[0]) == reference
    assert stored.profiles_of(lake, "m", "run") == {(START, START + DAY): later}
    assert lake.read(stored.profile_table("m")).num_rows == 2


def test_small_windows_are_judged_together_and_the_rest_waits() -> None:
    _, made = profiled(rows(), rows(80))
    windows = [
        made.model_copy(update={"start": START + number * DAY, "end": START + (number + 1) * DAY})
        for number in range(4)
    ]

    (pooled,) = large_enough(windows, 200)

    assert (pooled.rows, pooled.start, pooled.end) == (240, START, START + 3 * DAY)
    assert sum(pooled.columns["x"].counts) == 240
    assert [len(judged_with(windows[:count], MonitorSpec())) for count in (1, 2, 3, 4)] == [0, 0, 3, 0]


def test_pools_of_small_windows_stay_the_same_as_old_windows_are_dropped() -> None:
    _, made = profiled(rows(), rows(30))
    windows = [
        made.model_copy(update={"start": START + number * DAY, "end": START + (number + 1) * DAY})
        for number in range(7 * MOST_FOLLOWED + 21)
    ]

    complete = [
        number
        for number in range(7 * MOST_FOLLOWED - 7, len(windows))
        if judged_with(newest(windows[: number + 1], MonitorSpec()), MonitorSpec())
    ]

    assert complete == list(range(7 * MOST_FOLLOWED - 1, len(windows), 7))
    assert len(judged_together(newest(windows, MonitorSpec()), MonitorSpec())) == MOST_FOLLOWED
