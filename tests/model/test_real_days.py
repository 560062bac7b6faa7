"""The drift check on real days: ordinary ones are quiet, and what is planted in them is found and named."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.contracts import (
    DriftDecision,
    DriftRequest,
    Reference,
    Signal,
    StepContext,
    TrainingRun,
    WindowProfile,
)
from tasks.data.snapshot import divide
from tasks.monitoring import drift
from tasks.monitoring.comparison import rate_of
from tasks.monitoring.inputs.columns import look_at_columns
from tasks.monitoring.look import reference_of
from tasks.monitoring.validity import look_at_validity
from tasks.monitoring.windows import PREDICTED_AT, profile_of
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.spec.cron import day_begins
from tasks.stores import database
from tasks.stores.lake import Lake, arrow_schema
from tests.conftest import PROJECT
from tests.model.conftest import example_data
from tests.unit import judged

SPEC = PipelineSpec.load(PROJECT / "models" / "flight_delay" / "pipeline.yaml")
KNOWN, ORDINARY = 120, 100
DAY = timedelta(days=1)
RATE = rate_of(SPEC.monitor, "input", DAY)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The flights of New York in the first eight months of 2013, which the days below are of."""
    rows = example_data(SPEC.name, tmp_path_factory.mktemp("flights"), "--months", *map(str, range(1, 9)))
    return pa.Table.from_pandas(
        rows.assign(
            scheduled_at=pd.to_datetime(rows["scheduled_at"], utc=True),
            late=rows["late"].astype("Int64"),
            arrival_delay_minutes=rows["arrival_delay_minutes"].astype("Int64"),
        ),
        schema=arrow_schema(SPEC.data.columns),
        preserve_index=False,
    )


def day_of(number: int) -> datetime:
    """When a window of the model's own schedule begins."""
    return datetime(2013, 1, 2, tzinfo=UTC) + day_begins(SPEC.monitor.schedule) + number * DAY


def between(rows: pa.Table, first: int, last: int) -> pa.Table:
    times = rows["scheduled_at"].to_numpy(zero_copy_only=False)
    start, end = (np.datetime64(day_of(number).replace(tzinfo=None)) for number in (first, last))
    return rows.filter(pa.array((times >= start) & (times < end)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("place")
        patch.setenv("PERENNIAL_HOME", str(folder))
        settings.cache_clear()
        database.engine.cache_clear()
        yield folder
        database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture(scope="module")
def champion(place: Path, flights: pa.Table) -> TrainingRun:
    """A version that was trained on the first 120 days."""
    known = between(flights, 0, KNOWN)
    Lake().append("flights", known, batch_id="known")
    version = Lake().latest("flights")
    labelled = known.filter(pc.is_valid(known["late"]))
    parts, _ = divide(labelled, SPEC.data)
    frozen = {
        "table": "flights",
        "table_version": version,
        "version_at": Lake().committed_at("flights", version),
        **{name: judged.part(place, name, part) for name, part in parts.items()},
    }
    return judged.run(snapshot=judged.snapshot().model_copy(update=frozen))


@pytest.fixture(scope="module")
def reference(champion: TrainingRun) -> Reference:
    return reference_of(Lake(), champion, SPEC)


def window(rows: pa.Table, number: int) -> pa.Table:
    """The requests of a day."""
    own = between(rows, number, number + 1)
    return own.select(list(SPEC.data.features)).append_column(PREDICTED_AT, own["scheduled_at"])


class Watch:
    """What the check says of one day after another."""

    def __init__(self, rows: pa.Table, reference: Reference, passed: Sequence[WindowProfile] = ()) -> None:
        self.rows, self.reference = rows, reference
        self.profiles = [*passed]

    def next(self, change: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> list[Signal]:
        self.pass_by(change)
        columns = look_at_columns(self.reference, self.profiles, SPEC.monitor, RATE)
        return [*columns.signals, *look_at_validity(self.reference, self.profiles, RATE)]

    def pass_by(self, change: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> None:
        number = KNOWN + len(self.profiles)
        rows = window(self.rows, number)
        if change is not None:
            rows = pa.Table.from_pandas(change(rows.to_pandas()), preserve_index=False)
        span = (day_of(number), day_of(number + 1))
        self.profiles.append(profile_of(rows, self.reference, SPEC, span))


@pytest.fixture(scope="module")
def passed(flights: pa.Table, reference: Reference) -> tuple[WindowProfile, ...]:
    """Thirty days that nobody looks at more closely."""
    watch = Watch(flights, reference)
    for _ in range(30):
        watch.pass_by()
    return tuple(watch.profiles)


def sure(signals: list[Signal]) -> list[tuple[str, str]]:
    return [(signal.subject, signal.reason) for signal in signals if signal.level in {"alarm", "incident"}]


def test_a_hundred_ordinary_days_of_flights_are_quiet(flights: pa.Table, reference: Reference) -> None:
    watch = Watch(flights, reference)

    alarms = {day: found for day in range(ORDINARY) if (found := sure(watch.next()))}

    assert alarms == {}
    assert len(watch.reference.days) == KNOWN


FAULTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], tuple[str, str]]] = {
    "a tenth of the origins is missing": (
        lambda rows: rows.assign(origin=rows["origin"].mask(np.arange(len(rows)) % 10 == 0)),
        ("origin", "nulls"),
    ),
    "one flight in twenty starts at a new airport": (
        lambda rows: rows.assign(origin=rows["origin"].mask(np.arange(len(rows)) % 20 == 0, "SWF")),
        ("origin", "new_values"),
    ),
    "miles became kilometres": (
        lambda rows: rows.assign(distance_miles=(rows["distance_miles"] * 1.609344).round().astype("int64")),
        ("distance_miles", "unit_change"),
    ),
    "an airport sends nothing any more": (
        lambda rows: rows[rows["origin"] != "LGA"],
        ("origin", "shares"),
    ),
    "a column stands still": (
        lambda rows: rows.assign(departure_minute=rows["departure_minute"].iloc[0]),
        ("departure_minute", "frozen"),
    ),
    "half of the volume is lost": (lambda rows: rows[::4], ("rows", "volume_low")),
    "every request comes twice and more": (
        lambda rows: pd.concat([rows] * 4),
        ("rows", "volume_high"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_by_its_own_reason_within_two_days(
    flights: pa.Table, reference: Reference, passed: tuple[WindowProfile, ...], fault: str
) -> None:
    change, expected = FAULTS[fault]
    watch = Watch(flights, reference, passed)

    found = [*sure(watch.next(change)), *sure(watch.next(change))]

    assert expected in found


def test_the_whole_check_is_quiet_on_an_ordinary_day_and_alarms_when_an_airport_is_gone(
    flights: pa.Table, champion: TrainingRun, place: Path
) -> None:
    predict(flights, (KNOWN, KNOWN + 1))
    quiet = check(place, champion, KNOWN)
    predict(flights, (KNOWN + 1, KNOWN + 3), without="LGA")
    gone = [check(place, champion, number) for number in (KNOWN + 1, KNOWN + 2)]

    assert quiet.verdict == "quiet", quiet.why
    assert "month has one value a day" in quiet.why
    assert gone[-1].verdict == "wait", gone[-1].why
    assert "origin" in gone[-1].why


def predict(rows: pa.Table, days: tuple[int, int], without: str | None = None) -> None:
    """Let the service have been asked what the flights of some days ask."""
    own = between(rows, *days)
    own = own.filter(pc.not_equal(own["origin"], without)) if without else own
    ids = pa.array([f"{days[0]}-{number:06d}" for number in range(len(own))])
    logged = own.select(list(SPEC.data.features)).append_column("prediction_id", ids)
    logged = logged.append_column("predicted_at", own["scheduled_at"])
    answers: dict[str, pa.Array] = {
        "run_id": pa.array([judged.RUN] * len(own)),
        "prediction": pa.array(["0"] * len(own)),
        "score": pa.array([0.2] * len(own)),
    }
    for name, values in answers.items():
        logged = logged.append_column(name, values)
    Lake().append(f"{SPEC.name}__predictions", logged, batch_id=f"p-{days[0]}")


def check(home: Path, run: TrainingRun, number: int) -> DriftDecision:
    context = StepContext(actor="drift/day", step_key="drift", work_url=str(home / f"work-{number}"))
    start = day_of(number)
    return drift.check(
        DriftRequest(context=context, spec=SPEC, window_start=start, window_end=start + DAY), run
    )
