"""The Airflow DAGs `reproduce_<model>`."""

from plugins.forms import reproduction_form
from plugins.models import models
from plugins.pipeline import pipeline
from plugins.schedules import reproduction_schedule
from plugins.verbs import attest, find_champion, reproduce_version
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=reproduction_schedule, form=reproduction_form)
def reproduce(spec: PipelineSpec) -> None:
    """Train the champion, or the version that the form names, once more, and say whether the same model comes
    of it.
    """
    attest(reproduce_version(spec, find_champion(spec)))
