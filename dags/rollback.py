"""The Airflow DAG `rollback_model`."""

from plugins.by_hand import roll_back
from plugins.forms import rollback_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=rollback_form, paused=False)
def rollback(_: str) -> None:
    """Send a model's requests back to the version that truly served before the present one."""
    roll_back()
