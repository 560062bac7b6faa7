"""The Airflow DAGs `ingest_<table>`."""

from plugins.forms import ingest_form
from plugins.models import tables
from plugins.pipeline import pipeline
from plugins.schedules import ingest_schedule
from plugins.verbs import ingest_files, publish, report_refused
from tasks.spec import TableSpec


@pipeline(over=tables, schedule=ingest_schedule, form=ingest_form)
def ingest(table: TableSpec) -> None:
    """Check what has landed and let its good rows join the
    table: when files arrive, every hour, and when asked.
    """
    ingested = ingest_files(table)
    publish(table, ingested)
    report_refused(ingested)
