from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tasks.contracts import Reference
from tasks.monitoring.inputs.columns import look_at_columns
from tasks.monitoring.inputs.reference import into_days, without_lost
from tasks.monitoring.inputs.traits import traits
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.settings import PROJECT
from tasks.spec import ColumnType, MonitorSpec, PipelineSpec
from tests.unit.monitoring.inputs.simulated import DAY, RATE, START

SPEC = PipelineSpec.load(PROJECT / "models" / "flight_delay" / "pipeline.yaml")


def reference_of(days: list[pd.DataFrame], types: dict[str, ColumnType]) -> Reference:
    """Of days with these rows."""
    columns = followed(types)
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        session.register("whole", pd.concat(days))
        scales = set_scales(session, "whole", columns)
        profiles = []
        for number, rows in enumerate([pd.concat(days), *days]):
            session.register("day", rows)
            start = START + max(number - 1, 0) * DAY
            profiles.append(profile(session, "day", columns, scales, start, start + DAY))
    return Reference(
        champion_run_id="c", snapshot_sha256="s", scales=scales, days=tuple(profiles[1:]), whole=profiles[0]
    )


def at(times: Iterable[datetime]) -> pa.ChunkedArray:
    """Times as the check reads them: without a zone, in UTC."""
    return pa.chunked_array([pa.array([time.replace(tzinfo=None) for time in times], pa.timestamp("us"))])


def days_of(values: list[list[str]]) -> list[pd.DataFrame]:
    return [pd.DataFrame({"x": rows}) for rows in values]


def test_a_category_that_hardly_ever_varies_is_followed_and_no_date() -> None:
    usual = [["US"] * 200] * 54 + [["US"] * 195 + ["CA"] * 5] * 6
    reference = reference_of(days_of(usual), {"x": "string"})
    assert traits(reference) == ()
    with duckdb.connect() as session:
        session.register("day", pd.DataFrame({"x": ["CA"] * 200}))
        end = reference.days[-1].end
        now = profile(session, "day", followed({"x": "string"}), reference.scales, end, end + DAY)
    found = look_at_columns(reference, [now], MonitorSpec(), RATE)
    assert [signal.level for signal in found.signals] == ["alarm"]


@pytest.mark.parametrize("name", ["a weekday", "a month"])
def test_what_a_date_gives_is_recognised(name: str) -> None:
    of = {"a weekday": lambda day: day % 7, "a month": lambda day: day // 31}[name]
    reference = reference_of(days_of([[str(of(day))] * 100 for day in range(60)]), {"x": "string"})
    assert [trait.column for trait in traits(reference)] == ["x"]


def test_a_day_of_the_reference_begins_when_windows_do() -> None:
    times = at(START + timedelta(hours=hour) for hour in range(24) for _ in range(100))
    rows = pa.table({"x": list(range(2_400))})

    days, merged = into_days(rows, times, timedelta(hours=5))

    first, second = datetime(2026, 1, 4, 5, tzinfo=UTC), datetime(2026, 1, 5, 5, tzinfo=UTC)
    assert [(start, end, len(own)) for start, end, own in days] == [
        (first, second, 500),
        (second, second + DAY, 1_900),
    ]
    assert not merged


def test_dates_without_a_time_are_whole_days_whenever_windows_begin() -> None:
    times = at(START + (number // 200) * DAY for number in range(400))
    days, _ = into_days(pa.table({"x": list(range(400))}), times, timedelta(hours=5))
    assert [start for start, _, _ in days] == [START, START + DAY]


def test_a_feature_that_the_model_has_lost_is_left_out_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    rows = [
        pd.DataFrame({"carrier": ["UA"] * 50 + ["AA"] * 50, "old": rng.normal(size=100)}) for _ in range(30)
    ]
    reference = reference_of(rows, {"carrier": "string", "old": "float64"})

    fitting = without_lost(reference, SPEC)

    assert [scale.column for scale in fitting.scales] == ["carrier"]
    assert "not followed: old" in fitting.notes[-1]
    assert without_lost(fitting, SPEC) is fitting
    window = fitting.days[-1].model_copy(update={"start": START + 40 * DAY, "end": START + 41 * DAY})
    assert look_at_columns(fitting, [window], MonitorSpec(), RATE).signals == ()
