"""The Airflow DAG `withdraw_model`."""

from plugins.forms import withdrawal_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked
from plugins.verbs import withdraw as withdraw_service


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=withdrawal_form, paused=False)
def withdraw(_: str) -> None:
    """Take a model that was removed from the project out of service; what was recorded of it stays."""
    withdraw_service()
