"""Windows of simulated days, profiled as the check does it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.contracts import ColumnScale, Reference, Signal, WindowProfile
from tasks.monitoring.inputs.columns import look_at_columns
from tasks.monitoring.inputs.reference import without_own_values
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.spec import ColumnType, MonitorSpec
from tasks.stores.sql_session import sql_session

TYPES: dict[str, ColumnType] = {
    "amount": "float64",
    "level": "int64",
    "kind": "string",
    "text": "string",
    "at": "timestamp",
}
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = MonitorSpec()
RATE = 0.2 / 365
TEXTS = [" ".join(["word"] * count) for count in range(30)]
COLUMNS = followed(TYPES, frozenset({"text"}))
Change = Callable[[pd.DataFrame], pd.DataFrame]


def day(number: int, rows: int = 500) -> pd.DataFrame:
    """The rows of a day; its levels differ a little from those of the next, as days do."""
    rng = np.random.default_rng(number)
    swing = 0.05 * np.sin(2 * np.pi * number / 7) + 0.03 * rng.normal()
    words = rng.integers(5, 30, rows)
    return pd.DataFrame(
        {
            "amount": np.exp(rng.normal(3 + swing, 1, rows)),
            "level": rng.integers(0, 5, rows),
            "kind": rng.choice(["a", "b", "c", "d"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "text": [TEXTS[count] for count in words],
            "at": pd.Timestamp(START.replace(tzinfo=None)) + pd.Timedelta(days=number),
        }
    )


@cache
def reference(days: int, rows: int) -> Reference:
    """That of so many days."""
    known = [day(number, rows) for number in range(days)]
    with sql_session() as session:
        session.register("whole", pa.Table.from_pandas(pd.concat(known), preserve_index=False))
        scales = set_scales(session, "whole", COLUMNS)
    return Reference(
        champion_run_id="c",
        snapshot_sha256="s",
        scales=scales,
        days=without_own_values(tuple(window(each, number, scales) for number, each in enumerate(known))),
        whole=window(pd.concat(known), 0, scales),
        texts=("text",),
    )


def window(rows: pd.DataFrame, number: int, scales: tuple[ColumnScale, ...]) -> WindowProfile:
    """A day's profile."""
    with sql_session() as session:
        session.register("rows", pa.Table.from_pandas(rows, preserve_index=False))
        start = START + number * DAY
        return profile(session, "rows", COLUMNS, scales, start, start + DAY)


class Watch:
    """A reference of simulated days, and the windows after it."""

    def __init__(self, days: int = 60, rows: int = 500, rules: MonitorSpec = RULES) -> None:
        self.rules, self.rows, self.number = rules, rows, days
        self.reference = reference(days, rows)
        self.windows: list[WindowProfile] = []

    def next(self, change: Change | None = None) -> list[Signal]:
        """What is noticed about the columns of the next day."""
        rows = day(self.number, self.rows)
        self.windows.append(window(change(rows) if change else rows, self.number, self.reference.scales))
        self.number += 1
        return list(look_at_columns(self.reference, self.windows, self.rules, RATE).signals)


def sure(signals: list[Signal]) -> list[tuple[str, str]]:
    """The subjects and reasons of what is sure."""
    return [(one.subject, one.reason) for one in signals if one.level in {"alarm", "incident"}]
