"""How long a million rows take: our profile, a query by hand, Evidently's default preset, and a stored
profile.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.contracts import ColumnScale, Reference, WindowProfile
from tasks.monitoring.inputs.columns import look_at_columns
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.spec import ColumnType, MonitorSpec

ROWS = 1_000_000
REPEATS = 3
DAYS = 90
VALUES = (20, 4, 2, 200)
START = datetime(2026, 1, 1, tzinfo=UTC)


def measured() -> dict[str, float]:
    """Seconds of each, the least of some repeats in turns, and how many times longer than ours."""
    rows, types = _rows(0)
    columns = followed(types)
    with duckdb.connect() as session:
        session.register("rows", rows)
        scales = set_scales(session, "rows", columns)
        one = profile(session, "rows", columns, scales, START, START + timedelta(days=1))
        ways: dict[str, Callable[[], object]] = {
            "profile": lambda: profile(session, "rows", columns, scales, one.start, one.end),
            "by_hand": lambda: session.execute(_by_hand(scales[0].edges)).fetchall(),
            "stored_check": lambda: _check(one, scales),
        }
        seconds = {name: min(_seconds(way) for _ in range(REPEATS)) for name, way in ways.items()}
    seconds["evidently"] = _seconds(lambda: _evidently(rows.to_pandas(), _rows(1)[0].to_pandas()))
    return {
        **{f"{name}_seconds": round(taken, 3) for name, taken in seconds.items()},
        "times_by_hand": round(seconds["profile"] / seconds["by_hand"], 2),
        "times_faster_than_evidently": round(seconds["evidently"] / seconds["profile"], 1),
    }


def _rows(seed: int) -> tuple[pa.Table, dict[str, ColumnType]]:
    rng = np.random.default_rng(seed)
    numbers = {f"n{column}": rng.normal(size=ROWS) for column in range(8)}
    names = [np.array([f"value {value}" for value in range(count)]) for count in VALUES]
    texts = {f"c{column}": own[rng.integers(0, len(own), ROWS)] for column, own in enumerate(names)}
    types: dict[str, ColumnType] = dict.fromkeys(numbers, "float64")
    return pa.table(numbers | texts), types | dict.fromkeys(texts, "string")


def _by_hand(edges: tuple[float, ...]) -> str:
    """What somebody would write who wants the same: histograms, missing and different values, ranges."""
    numbers = (
        f"histogram(n{column}, {list(edges)}), count(n{column}), approx_count_distinct(n{column}), "
        f"min(n{column}), max(n{column}), sum(n{column})"
        for column in range(8)
    )
    texts = (
        f"histogram(c{column}), count(c{column}), approx_count_distinct(c{column}), "
        f"min(c{column}), max(c{column})"
        for column in range(len(VALUES))
    )
    names = ", ".join([*(f"n{column}" for column in range(8)), *(f"c{column}" for column in range(4))])
    return f"SELECT count(*), approx_count_distinct(hash({names})), {', '.join([*numbers, *texts])} FROM rows"


def _check(one: WindowProfile, scales: tuple[ColumnScale, ...]) -> object:
    """A check of a day whose profile is stored, with a reference of 90 days and 60 windows before it."""
    days = [
        one.model_copy(
            update={"start": one.start + timedelta(days=day), "end": one.end + timedelta(days=day)}
        )
        for day in range(DAYS)
    ]
    reference = Reference(
        champion_run_id="speed", snapshot_sha256="none", scales=scales, days=tuple(days), whole=one
    )
    return look_at_columns(reference, days[:60], MonitorSpec(), 1e-3)


def _evidently(current: pd.DataFrame, known: pd.DataFrame) -> None:
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [name for name in known if str(name).startswith("n")]
    definition = DataDefinition(
        numerical_columns=[str(name) for name in numbers],
        categorical_columns=[str(name) for name in known if name not in numbers],
    )
    sides = [Dataset.from_pandas(side, data_definition=definition) for side in (current, known)]
    Report([DataDriftPreset()], include_tests=True).run(*sides).dict()


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
