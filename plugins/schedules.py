"""When each DAG family runs, and the assets that connect them."""

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from plugins.triggers.landing import LandingTrigger
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec
from tasks.stores.files import at

LANDING_POLL_SECONDS = 1.0


def cron(expression: str, *, run_immediately: bool = False) -> CronTriggerTimetable:
    """A cron schedule in UTC; with `run_immediately` the time before the unpausing counts as due."""
    return CronTriggerTimetable(expression, timezone="UTC", run_immediately=run_immediately)


def training_schedule(spec: PipelineSpec) -> CronTriggerTimetable | None:
    """As the specification says; None trains only when asked or when drift is decided."""
    return cron(spec.training.schedule, run_immediately=True) if spec.training.schedule else None


def drift_schedule(spec: PipelineSpec) -> CronTriggerTimetable:
    return cron(spec.monitor.schedule)


def collection_schedule(_spec: PipelineSpec) -> CronTriggerTimetable:
    return cron("*/15 * * * *")


def only_when_asked(_subject: str) -> None:
    """No schedule."""


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
    trigger = LandingTrigger(
        folder=str(at(settings().landing, table.table)), poll_seconds=LANDING_POLL_SECONDS
    )
    watcher = AssetWatcher(name=f"files for {table.table}", trigger=trigger)
    return Asset(
        name=f"landing/{table.table}",
        uri=f"perennial://landing/{table.table}",
        group="landing",
        watchers=[watcher],
    )
