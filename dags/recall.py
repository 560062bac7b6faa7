"""The Airflow DAG `recall_batch`."""

from plugins.by_hand import recall_batch, start_trainings
from plugins.forms import recall_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(over=lambda _: {"batch": "batch"}, schedule=only_when_asked, form=recall_form, paused=False)
def recall(_: str) -> None:
    """Leave batches out of every later training, and train again what serves by them."""
    start_trainings(recall_batch())
