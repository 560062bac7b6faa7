"""The Airflow DAG `withdraw_model`."""

from plugins.by_hand import withdraw as withdraw_service
from plugins.forms import withdrawal_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=withdrawal_form, paused=False)
def withdraw(_: str) -> None:
    """Take a model that was removed from the project out of service; what was recorded of it stays."""
    withdraw_service()
