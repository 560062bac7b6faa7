"""The Airflow DAG `tidy_<runner>`, where steps run in containers or pods."""

from plugins.forms import no_form
from plugins.housekeeping import remove_left_behind
from plugins.janitor import places
from plugins.pipeline import pipeline
from plugins.schedules import tidy_schedule


@pipeline(over=places, schedule=tidy_schedule, form=no_form, paused=False)
def tidy(_place: str) -> None:
    """Remove what killed workers have left running and no task will come back for."""
    remove_left_behind()
