"""The Airflow DAGs `drift_<model>`."""

from plugins.forms import drift_form
from plugins.models import models
from plugins.pipeline import pipeline
from plugins.schedules import drift_schedule
from plugins.verbs import collect
from plugins.watching import ask_person, check_drift, request_retrain, start_training
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=drift_schedule, form=drift_form)
def drift(spec: PipelineSpec) -> None:
    """Judge whether the service's traffic still looks like what its model was judged on, and retrain when it
    does not, if the model's mode and what the retrains before came to allow it; else ask a person.
    """
    decision = check_drift(spec, after=collect(spec))
    ticket = request_retrain(spec, decision, approval=ask_person(spec, decision))
    start_training(spec, ticket)
