"""Our policy on the counts of `benchmarks.drift.years`: the code of the check itself, from profiles on."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift.years import GRID, MIDDLES, NUMBERS, VALUES, Days
from tasks.contracts import ColumnProfile, ColumnScale, Reference, WindowProfile
from tasks.monitoring.inputs.columns import alarms, look_at_columns
from tasks.spec import MonitorSpec

RULES = MonitorSpec()
INPUT_SHARE = 0.4
"""The columns' share of `false_alarms_per_year`; the other detectors have theirs."""

RATE = RULES.false_alarms_per_year * INPUT_SHARE / 365
BINS = 20


def perennial(known: Days, seen: Days) -> NDArray[np.bool_]:
    """The days on which the columns alarm."""
    reference = reference_of(known)
    windows = profiles(seen, first=len(known))
    return np.asarray(alarms(look_at_columns(reference, windows, RULES, RATE)).any(axis=1))


def reference_of(known: Days) -> Reference:
    days = profiles(known)
    whole = profiles(
        Days(
            known.numbers.sum(axis=0, keepdims=True),
            known.nulls.sum(axis=0, keepdims=True),
            tuple(one.sum(axis=0, keepdims=True) for one in known.categories),
            known.rows * len(known),
        )
    )[0]
    return Reference(
        champion_run_id="simulated",
        snapshot_sha256="none",
        scales=tuple(_scales()),
        days=tuple(days),
        whole=whole,
    )


def _scales() -> list[ColumnScale]:
    edges = tuple(float(edge) for edge in GRID[9::10])
    numbers = [
        ColumnScale(column=f"number {column}", kind="number", edges=edges, known=10**6, deviation=1.0)
        for column in range(NUMBERS)
    ]
    categories = [
        ColumnScale(
            column=f"category {column}",
            kind="category",
            values=tuple(f"value {value}" for value in range(values)),
            known=values,
        )
        for column, values in enumerate(VALUES)
    ]
    return numbers + categories


def profiles(days: Days, first: int = 0) -> list[WindowProfile]:
    return [_profile(days, day, span) for day, span in enumerate(days.spans(first))]


def _profile(days: Days, day: int, span: tuple[datetime, datetime]) -> WindowProfile:
    columns = {}
    for column in range(NUMBERS):
        counts = days.numbers[day, column]
        columns[f"number {column}"] = ColumnProfile(
            nulls=int(days.nulls[day, column]),
            counts=tuple(int(count) for count in counts.reshape(BINS, -1).sum(axis=1)),
            distinct=int(counts.sum()),
            total=float((counts * MIDDLES).sum()),
        )
    for column, counts in enumerate(days.categories):
        columns[f"category {column}"] = ColumnProfile(
            nulls=0,
            counts=tuple(int(count) for count in counts[day]),
            distinct=int((counts[day] > 0).sum()),
        )
    return WindowProfile(
        start=span[0], end=span[1], rows=days.rows, different_rows=days.rows, columns=columns
    )
