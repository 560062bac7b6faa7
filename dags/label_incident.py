"""The Airflow DAG `label_incident_model`."""

from plugins.by_hand import answer_label_incident
from plugins.forms import label_incident_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=label_incident_form, paused=False)
def label_incident(_: str) -> None:
    """Say whether new labels on which the champion falls are wrong, or the world is another than it was."""
    answer_label_incident()
