"""The Airflow DAGs `train_<model>`."""

from plugins.deadlines import training_deadline
from plugins.forms import training_form
from plugins.models import models
from plugins.pipeline import pipeline
from plugins.rollouts import bring_to_users
from plugins.schedules import training_schedule
from plugins.verbs import (
    check_labels,
    count_rows,
    describe,
    evaluate,
    find_champion,
    gate,
    package,
    preflight,
    quarantine,
    register,
    report_quarantined,
    take_snapshot,
    train_candidate,
    validate,
)
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=training_schedule, form=training_form, deadline=training_deadline)
def train(spec: PipelineSpec) -> None:
    """Train, judge and, if the gate agrees, release one candidate of the model."""
    place = preflight(spec, after=count_rows(spec))
    labels = check_labels(spec, after=place)
    quarantined = quarantine(spec, labels)
    report_quarantined(labels, quarantined)
    snapshot = take_snapshot(spec, after=quarantined, labels=labels)
    validation = validate(spec, snapshot)
    run = train_candidate(spec, snapshot, validation)
    archive = package(spec, run)
    evaluation = evaluate(spec, run, archive, against=find_champion(spec, after=archive))
    decision = gate(spec, run, archive, evaluation)
    version = register(spec, run, archive, decision)
    describe(spec, version)
    bring_to_users(spec, run, version)
