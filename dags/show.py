"""The Airflow DAG `show_triggers`."""

from plugins.by_hand import show_triggers
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked
from plugins.watch_forms import triggers_form


@pipeline(over=lambda _: {"triggers": "triggers"}, schedule=only_when_asked, form=triggers_form, paused=False)
def show(_: str) -> None:
    """Show what may start a training of each model, what it waits for, and what stands against it."""
    show_triggers()
