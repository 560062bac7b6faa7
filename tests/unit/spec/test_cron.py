"""A cron expression is checked where Airflow is not installed, and as Airflow does."""

from datetime import UTC, datetime, timedelta

import pytest
from croniter import CroniterBadDateError, croniter
from pydantic import TypeAdapter, ValidationError

from tasks.spec.cron import PRESETS, Cron, as_croniter_takes, day_begins, fires_a_day


@pytest.mark.parametrize(
    "expression",
    ["0 3 * * *", "*/15 0-6,12 1 jan-mar MON", "0 0 L * *", "0 22-3/2 * * 5#2", "0 0 15w * ?"],
)
def test_what_airflow_takes_is_taken(expression: str) -> None:
    croniter(expression)
    assert TypeAdapter(Cron).validate_python(expression) == expression


@pytest.mark.parametrize(
    "expression", ["0 25 * * *", "99 4 * * *", "0 4 * *", "0 4 0 * *", "0 4 * 13 *", "*/0 * * * *"]
)
def test_what_airflow_refuses_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        croniter(expression)
    with pytest.raises(ValidationError, match="is not a cron expression"):
        TypeAdapter(Cron).validate_python(expression)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_taken_and_written_as_croniter_takes_it(preset: str) -> None:
    assert TypeAdapter(Cron).validate_python(preset.upper()) == preset
    croniter(as_croniter_takes(preset))


def test_quarterly_is_the_first_day_of_a_quarter() -> None:
    after = croniter(as_croniter_takes("@quarterly"), datetime(2026, 2, 3, tzinfo=UTC))
    assert after.get_next(datetime) == datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize("days", ["30", "31", "30,31", "30-31", "*/30", "29", "31-2", "31-1", "l", "30/1"])
@pytest.mark.parametrize("months", ["2", "feb", "feb,apr", "2-6/2", "*/5", "11-2/3", "2/4", "4-6/2"])
@pytest.mark.parametrize("weekday", ["*", "?", "mon"])
def test_a_schedule_that_never_occurs_is_refused_and_no_other(days: str, months: str, weekday: str) -> None:
    expression = f"0 0 {days} {months} {weekday}"
    try:
        croniter(expression, datetime(2026, 1, 1, tzinfo=UTC)).get_next(datetime)
    except CroniterBadDateError:
        with pytest.raises(ValidationError, match="never occurs: no month that it names has a day"):
            TypeAdapter(Cron).validate_python(expression)
    else:
        assert TypeAdapter(Cron).validate_python(expression) == expression


@pytest.mark.parametrize(
    ("expression", "hours", "a_day"),
    [
        ("0 5 * * *", 5.0, 1),
        ("30 22 * * 1-5", 22.5, 1),
        ("@daily", 0.0, 1),
        ("@hourly", 0.0, 24),
        ("0 * * * *", 0.0, 24),
        ("*/15 8-17 * * *", 0.0, 40),
        ("0,30 5 * * *", 0.0, 2),
        ("5/20 3 * * *", 0.0, 3),
        ("0 22-3/2 * * *", 0.0, 3),
    ],
)
def test_when_a_day_of_a_schedule_begins_and_how_often_it_fires(
    expression: str, hours: float, a_day: int
) -> None:
    assert day_begins(expression) == timedelta(hours=hours)
    assert fires_a_day(expression) == a_day
