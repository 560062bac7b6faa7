"""The Airflow DAGs `release_<model>`."""

from plugins.models import models
from plugins.pipeline import pipeline
from plugins.rollouts import (
    accept,
    ask_before,
    ask_before_production,
    judge,
    open_stage,
    pass_through,
    promote,
    release_form,
    stages,
    watch,
)
from plugins.schedules import only_when_asked
from tasks.spec import PipelineSpec


@pipeline(over=models, schedule=only_when_asked, form=release_form, paused=False)
def release(spec: PipelineSpec) -> None:
    """Let a version reach its users, environment by environment and stage by stage; it goes back by itself
    where it is worse.

    What serves goes on serving until the last stage has said yes, and the version before stays loaded.
    """
    accepted, decision = accept(spec, after=pass_through(spec)), None
    for stage in stages(spec):
        approval = ask_before(spec, stage, accepted, decision)
        opened = open_stage(spec, stage, accepted, decision, approval)
        decision = judge(spec, stage, opened, after=watch(spec, stage, opened))
    promote(spec, accepted, decision, ask_before_production(spec, accepted))
