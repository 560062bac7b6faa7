"""The Airflow DAGs `collect_<model>`."""

from plugins.forms import no_form
from plugins.models import models
from plugins.pipeline import pipeline
from plugins.schedules import collection_schedule
from plugins.verbs import collect as collect_log
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=collection_schedule, form=no_form)
def collect(spec: PipelineSpec) -> None:
    """Bring the service's predictions, and the labels that came back, to the lake."""
    collect_log(spec)
