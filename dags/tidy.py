"""The Airflow DAG `tidy_<runner>`, where steps run in containers or pods."""

from plugins.forms import no_form
from plugins.janitor import places
from plugins.pipeline import pipeline
from plugins.schedules import tidy_schedule
from plugins.verbs import remove_left_behind


@pipeline(over=places, schedule=tidy_schedule, form=no_form, paused=False)
def tidy(_place: str) -> None:
    """Remove what killed workers have left running and no task will come back for."""
    remove_left_behind()
