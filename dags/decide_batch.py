"""The Airflow DAG `decide_batch_model`."""

from plugins.by_hand import decide_batch as decide
from plugins.forms import batch_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=batch_form, paused=False)
def decide_batch(_: str) -> None:
    """Release a batch whose labels are quarantined, or confirm that it is never trained on."""
    decide()
