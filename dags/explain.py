"""The Airflow DAG `explain_subject`."""

from plugins.by_hand import explain as explain_what_is_named
from plugins.forms import explanation_form
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked


@pipeline(
    over=lambda _: {"subject": "subject"}, schedule=only_when_asked, form=explanation_form, paused=False
)
def explain(_: str) -> None:
    """Say why: what led to an answer, a version, a run or what serves, or what came of a batch or a row."""
    explain_what_is_named()
