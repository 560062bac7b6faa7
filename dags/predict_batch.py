"""The Airflow DAGs `predict_batch_<model>`."""

from plugins.forms import predict_batch_form
from plugins.models import models
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked
from plugins.verbs import predict_rows
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=only_when_asked, form=predict_batch_form, paused=False)
def predict_batch(spec: PipelineSpec) -> None:
    """Let the version that serves predict every row of a table, or of a query, of the lake."""
    predict_rows(spec)
