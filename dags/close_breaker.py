"""The Airflow DAG `close_breaker_model`."""

from plugins.by_hand import close_breaker as close
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked
from plugins.watch_forms import breaker_form


@pipeline(over=lambda _: {"model": "model"}, schedule=only_when_asked, form=breaker_form, paused=False)
def close_breaker(_: str) -> None:
    """Let a model be retrained by itself again, after several retrains in a row came to nothing."""
    close()
