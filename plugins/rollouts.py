"""The tasks of the release DAG: accept a version, divide the requests, watch, judge, and let it serve."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context, Param, TriggerRule, XComArg, task
from airflow.sdk.exceptions import AirflowSkipException

from plugins.cloud_run.tasks import bring_to_cloud_run, of_the_release
from plugins.operators import BY_TASK, step_operator
from plugins.release_approval import AskBeforeStage
from plugins.release_watch import WatchStage
from plugins.verbs import STEP_LIMIT, calibrate, deploy
from plugins.watch_forms import answer_form
from tasks.release.stages import asks_before, kind_of, longest_seconds, plan
from tasks.spec import PRODUCTION, PipelineSpec

REFUSALS = {"roll_back", "hold"}


def release_form(spec: PipelineSpec, _models: Path) -> dict[str, Param]:
    """The version to release, how far, and why."""
    names = [*(each.name for each in spec.release.environments), PRODUCTION]
    return {
        "version": Param(
            description="The number of a version in MLflow that the gate promoted.",
            title="Version",
            type="string",
            pattern=r"^[1-9][0-9]*$",
        ),
        "environment": Param(
            PRODUCTION,
            "The environment at which the release ends; it goes through those before.",
            type="string",
            enum=names,
            title="As far as",
        ),
        "reason": Param(
            None, "Why; the ledger keeps it.", type=["string", "null"], maxLength=2000, title="Reason"
        ),
    }


def stages(spec: PipelineSpec) -> tuple[str, ...]:
    """The names of the stages, in order."""
    return tuple(plan(spec.release))


def pass_through(spec: PipelineSpec) -> XComArg | None:
    """Let the version serve in each environment before production, in order, once it has shown there what it
    has to; None where there is only production.
    """
    passage: XComArg | None = None
    for each in spec.release.environments:
        entered = _step("enter", f"enter_{each.name}", spec, {}, from_run=_asked_of(spec, each.name))
        if passage is not None:
            passage >> entered
        passage = entered
    return passage


def accept(spec: PipelineSpec, after: XComArg | None) -> XComArg:
    """Bring the version up beside what serves, and see that it is what was judged."""
    # Each field is an XCom of its own, so that `accepted["run"]` is there for the calibration.
    accepted = _step(
        "accept", "accept", spec, {}, from_run=_asked_of(spec, PRODUCTION), multiple_outputs=True
    )
    if after is not None:
        after >> accepted
    return accepted


def _asked_of(spec: PipelineSpec, environment: str) -> Callable[[Context], dict[str, Any]]:
    """What the form asks of an environment; skipped where the release is to end before that."""
    names = [*(each.name for each in spec.release.environments), PRODUCTION]

    def asked(run: Context) -> dict[str, Any]:
        params = run["params"]
        if names.index(environment) > names.index(params["environment"]):
            raise AirflowSkipException(f"The release was asked for as far as {params['environment']}.")
        told = {"version": params["version"], "reason": params["reason"] or ""}
        if environment == PRODUCTION:
            return told | {"by_itself": run["dag_run"].run_type == BY_TASK}
        return told | {"environment": environment}

    return asked


def ask_before_production(spec: PipelineSpec, accepted: XComArg) -> XComArg | None:
    """Ask a person before a version that has no stages serves in production, where the specification says so.
    With stages it is asked before one of these, and here of a first model alone, which goes through none.
    """
    if not asks_before(spec.release, PRODUCTION):
        return None
    question = AskBeforeStage(
        task_id="ask_before_production",
        params=answer_form(),
        subject=f"Does the release of {spec.name} go on to production?",
        approval=spec.release.approval,
        acceptance=accepted,
        decision=None,
        asked_of="first" if stages(spec) else "any",
    )
    return question.output


def ask_before(spec: PipelineSpec, stage: str, accepted: XComArg, decision: XComArg | None) -> XComArg | None:
    """Ask a person before the stage where the specification says so, with the evidence beside it."""
    if not asks_before(spec.release, stage):
        return None
    question = AskBeforeStage(
        task_id=f"ask_before_{stage}",
        params=answer_form(),
        subject=f"Does the release of {spec.name} go on with {stage}?",
        approval=spec.release.approval,
        acceptance=accepted,
        decision=decision,
        asked_of="next",
    )
    return question.output


def open_stage(
    spec: PipelineSpec, stage: str, accepted: XComArg, decision: XComArg | None, approval: XComArg | None
) -> XComArg:
    """Divide the requests; skipped, with all stages, where there is nothing to compare with."""
    inputs = {"acceptance": accepted, "before": decision, "approval": approval, "stage": stage}
    return _step("open_stage", f"open_{stage}", spec, inputs, skip_because=no_stages)


def no_stages(inputs: dict[str, Any]) -> str | None:
    """Why there is no stage; None where the version is compared with what serves."""
    if inputs["acceptance"]["plan"]:
        return None
    if inputs["acceptance"]["stable"] is not None:
        return "The version serves already and gets other settings: there is nothing to compare it with."
    return "No version serves, so there is nothing to compare with: what was accepted serves."


def ends_before(inputs: dict[str, Any]) -> str | None:
    """Why nothing is promoted; None where a version was accepted for production."""
    if inputs["acceptance"] is not None:
        return None
    return "The release was asked for as far as an environment before production."


def watch(spec: PipelineSpec, stage: str, opened: XComArg) -> XComArg:
    """Wait, without a slot, until there is something to decide."""
    seconds = longest_seconds(spec.release, kind_of(stage))
    return WatchStage(task_id=f"watch_{stage}", spec=spec, stage=opened, longest_seconds=seconds).output


def judge(spec: PipelineSpec, stage: str, opened: XComArg, after: XComArg) -> XComArg:
    """Decide what follows; a worse version is sent nothing any more, and the task fails by it."""
    names = stages(spec)
    following = names[names.index(stage) + 1 :]
    is_asked = bool(following) and asks_before(spec.release, following[0])

    def more(_: Context) -> dict[str, Any]:
        return {"stays_open": not is_asked}

    decision = _step(
        "judge_stage", f"judge_{stage}", spec, {"stage": opened}, from_run=more, fail_because=stopped
    )
    after >> decision
    return decision


def stopped(decision: dict[str, Any]) -> str | None:
    """Why the release does not go on; None where it does."""
    if decision["verdict"] not in REFUSALS:
        return None
    return f"The stage {decision['stage']} says {decision['verdict']}: {decision['why']}"


def promote(
    spec: PipelineSpec, accepted: XComArg, decision: XComArg | None, approval: XComArg | None
) -> None:
    """Let the version serve, make the reference of its traffic, and bring it to Cloud Run where the model has
    a service there; not where copies alone were asked for.
    """
    if spec.release.mode == "shadow_only":
        return
    inputs = {"acceptance": accepted, "before": decision, "approval": approval}
    rule = TriggerRule.NONE_FAILED
    rollout = _step("promote", "promote", spec, inputs, trigger_rule=rule, skip_because=ends_before)
    calibrate(spec, accepted["run"], after=rollout)
    bring_to_cloud_run(spec, of_the_release, after=rollout)


def bring_to_users(spec: PipelineSpec, run: XComArg, version: XComArg) -> None:
    """Let a promoted version serve at once, or start its release by stages, as the specification says."""
    if not spec.release.by_steps:
        calibrate(spec, run, after=deploy(spec, version))
        return
    TriggerDagRunOperator(
        task_id="start_release",
        trigger_dag_id=f"release_{spec.name}",
        trigger_run_id="{{ run_id }}_released",
        conf={"version": version["version"], "reason": "The gate promoted it."},
        logical_date=None,
        skip_when_already_exists=True,
    )


def start_releases(settled: XComArg) -> XComArg:
    """Start each release by stages that the reconciliation handed over; skipped where there is none."""

    @task(task_id="handed_over")
    def handed_over(result: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = [each for each in result["settled"] if each["outcome"] == "handed over"]
        if not wanted:
            raise AirflowSkipException("Nothing was handed over.")
        return [
            {
                "trigger_dag_id": f"release_{each['model']}",
                "trigger_run_id": f"reconciled_{each['entry']}",
                "conf": {"version": each["version"], "reason": each["why"][:2000]},
            }
            for each in wanted
        ]

    start_release = TriggerDagRunOperator.partial(
        task_id="start_release", logical_date=None, skip_when_already_exists=True
    )
    return start_release.expand_kwargs(handed_over(settled)).output


def _step(
    verb: str,
    task_id: str,
    spec: PipelineSpec,
    inputs: dict[str, Any],
    from_run: Callable[[Context], dict[str, Any]] | None = None,
    **more: Any,
) -> XComArg:
    """A step as a task of another name than its verb's."""
    operator = step_operator()
    return operator(
        task_id=task_id,
        verb=verb,
        constants={"spec": spec},
        inputs=inputs,
        from_run=from_run,
        execution_timeout=STEP_LIMIT,
        **more,
    ).output
