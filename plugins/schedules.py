"""When each DAG family runs, and the assets that connect them."""

import re
from datetime import UTC, datetime

from airflow.sdk import (
    Asset,
    AssetAny,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    MultipleCronTriggerTimetable,
)
from airflow.sdk.bases.timetable import BaseTimetable
from airflow.triggers.base import BaseEventTrigger
from croniter import croniter

from plugins.runners.connections import GOOGLE, google_not_installed
from plugins.triggers.aliases import AliasTrigger
from plugins.triggers.landing import LandingTrigger
from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec
from tasks.spec.cron import as_croniter_takes
from tasks.spec.training import TrainingSpec
from tasks.stores.files import at

SUBSCRIPTION = re.compile(r"projects/([^/]+)/subscriptions/([^/]+)")
MESSAGES_AT_ONCE = 1000
DAILY_LOOK = "45 4 * * *"
"""When it is looked each day, where a team says so, whether the champion is too old, or its code another.
Both at one time: of times that a machine was off, Airflow makes up for the last alone."""


def cron(expression: str, *, run_immediately: bool = False) -> CronTriggerTimetable:
    """A cron schedule in UTC.

    Args:
        run_immediately: Whether the time before a DAG is first switched on counts as due. A machine that is
            off at night would else never come to its first run; later ones are made up for when it is on.
    """
    return CronTriggerTimetable(expression, timezone="UTC", run_immediately=run_immediately)


def training_schedule(
    spec: PipelineSpec,
) -> BaseTimetable | AssetAny | None:
    """By the clock, by rows that join the table, or by both; None trains only when asked or on drift."""
    rows = AssetAny(*(lake_asset(table) for table in spec.data.all_tables))
    training = spec.training
    clock = _training_clock(training)
    if clock is None or training.trigger == "schedule":
        return rows if training.trigger == "data" else clock
    return AssetOrTimeSchedule(timetable=clock, assets=rows)


def is_a_look(spec: PipelineSpec, at: datetime) -> bool:
    """Whether the run of a clock is a look at the champion's age or code, and none of `training.schedule`."""
    schedule = spec.training.schedule
    is_of_calendar = schedule is not None and croniter.match(as_croniter_takes(schedule), at.astimezone(UTC))
    return _is_looked_at(spec.training) and not is_of_calendar


def _is_looked_at(training: TrainingSpec) -> bool:
    return training.maximum_age_days is not None or training.on_code_change


def _training_clock(training: TrainingSpec) -> BaseTimetable | None:
    """The schedule, and where the champion's age or code counts, a look of each day."""
    if not _is_looked_at(training):
        return cron(training.schedule, run_immediately=True) if training.schedule else None
    times = [each for each in (training.schedule, DAILY_LOOK) if each]
    return MultipleCronTriggerTimetable(*times, timezone="UTC", run_immediately=True)


def drift_schedule(spec: PipelineSpec) -> CronTriggerTimetable:
    return cron(spec.monitor.schedule, run_immediately=True)


def collection_schedule(_spec: PipelineSpec) -> CronTriggerTimetable:
    return cron("*/15 * * * *")


def reproduction_schedule(_spec: PipelineSpec) -> CronTriggerTimetable:
    """Once a month, at a time when machines of an office are on."""
    return cron("0 12 1 * *")


def only_when_asked(_subject: object) -> None:
    """No schedule."""


def each_minute_and_moved_alias(_subject: str) -> AssetOrTimeSchedule:
    """When somebody moves an alias in MLflow; and each minute, for all else that may not agree."""
    trigger = AliasTrigger(settings().alias_poll_seconds)
    watcher = AssetWatcher(name="aliases", trigger=trigger)
    aliases = Asset(
        name="registry/aliases", uri="perennial://registry/aliases", group="registry", watchers=[watcher]
    )
    return AssetOrTimeSchedule(timetable=cron("* * * * *"), assets=[aliases])


def tidy_schedule(_place: str) -> CronTriggerTimetable:
    return cron("*/10 * * * *")


def ingest_schedule(table: TableSpec) -> AssetOrTimeSchedule:
    """When files land; and hourly, for files whose event was lost."""
    return AssetOrTimeSchedule(timetable=cron("@hourly"), assets=[landing_asset(table)])


def lake_asset(table: TableSpec) -> Asset:
    """The table in the lake; an event of it says that rows were published."""
    return Asset(name=f"lake/{table.table}", uri=f"perennial://lake/{table.table}", group="lake")


def landing_asset(table: TableSpec) -> Asset:
    """The table's landing folder; an event of it says that files have landed."""
    watcher = AssetWatcher(name=f"files for {table.table}", trigger=landing_trigger(table.table))
    return Asset(
        name=f"landing/{table.table}",
        uri=f"perennial://landing/{table.table}",
        group="landing",
        watchers=[watcher],
    )


def landing_trigger(table: str) -> BaseEventTrigger:
    """What tells of files that have landed: a look into the folder, or, where its bucket announces them, the
    Google provider's own trigger for Pub/Sub.

    A message that is lost between the two is made up for by the hourly run.

    Raises:
        InvalidProject: The subscription is wrongly named, or the Google provider is not installed here.
    """
    place = settings()
    if not place.landing_subscription:
        return LandingTrigger(str(at(place.landing, table)), place.landing_poll_seconds)
    project, subscription = _subscription(place.landing_subscription, table)
    try:
        from airflow.providers.google.cloud.triggers.pubsub import PubsubPullTrigger
    except ImportError as error:
        raise google_not_installed(error) from error
    return PubsubPullTrigger(
        project_id=project,
        subscription=subscription,
        max_messages=MESSAGES_AT_ONCE,
        ack_messages=True,
        gcp_conn_id=GOOGLE,
        poke_interval=place.landing_poll_seconds,
        return_immediately=False,
    )


def _subscription(setting: str, table: str) -> tuple[str, str]:
    found = SUBSCRIPTION.fullmatch(setting.replace("{table}", table))
    if not found or "{table}" not in setting:
        raise InvalidProject(
            f"PERENNIAL_LANDING_SUBSCRIPTION is {setting!r}. Give "
            "projects/<project>/subscriptions/<name>, with {table} in the name: each table has a "
            "subscription of its own."
        )
    return found[1], found[2]
