"""The Airflow DAG `silence_alerts`."""

from plugins.by_hand import silence as silence_what_is_named
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked
from plugins.watch_forms import silence_form


@pipeline(over=lambda _: {"alerts": "alerts"}, schedule=only_when_asked, form=silence_form, paused=False)
def silence(_: str) -> None:
    """Send no alerts about a model for a while, or send them again; what there is stays in the ledger."""
    silence_what_is_named()
