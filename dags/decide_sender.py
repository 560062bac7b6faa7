"""The Airflow DAG `decide_sender_model`."""

from plugins.by_hand import decide_sender as decide
from plugins.forms import sender_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=sender_form, paused=False)
def decide_sender(_: str) -> None:
    """Release what is held at the door of a sender's labelled requests, or confirm that it is never trained
    on.
    """
    decide()
