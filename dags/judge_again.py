"""The Airflow DAGs `judge_again_<model>`."""

from plugins.forms import no_form
from plugins.models import models
from plugins.pipeline import pipeline
from plugins.rollouts import bring_to_users
from plugins.schedules import drift_schedule
from plugins.verbs import (
    describe,
    evaluate,
    find_champion,
    find_held,
    gate,
    package,
    register,
    take_snapshot,
    take_up,
    validate,
)
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=drift_schedule, form=no_form)
def judge_again(spec: PipelineSpec) -> None:
    """Decide a held candidate once more, without a training,
    when as many rows have come as its hold had asked for.
    """
    held = find_held(spec)
    snapshot = take_snapshot(spec, after=held)
    run = take_up(spec, held, snapshot, after=validate(spec, snapshot))
    archive = package(spec, run)
    evaluation = evaluate(spec, run, archive, against=find_champion(spec, after=archive))
    decision = gate(spec, run, archive, evaluation)
    version = register(spec, run, archive, decision)
    describe(spec, version)
    bring_to_users(spec, run, version)
