"""The task group that brings what serves in production to Cloud Run, in a release and in a DAG of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from airflow.sdk import Context, Param, TaskGroup, XComArg

from plugins.cloud_run.operators import MoveTraffic, OpenRevision
from plugins.models import models
from plugins.verbs import step
from tasks.contracts.cloud_run import CloudRunTarget
from tasks.spec import PipelineSpec

POLL_SECONDS = 5.0


def on_cloud_run(folder: Path) -> dict[str, PipelineSpec]:
    """The models that have a Cloud Run service, by name."""
    return {name: spec for name, spec in models(folder).items() if spec.release.cloud_run is not None}


def cloud_run_form(_spec: PipelineSpec, _models: Path) -> dict[str, Param]:
    """Which version the service is to have, and why."""
    return {
        "to": Param(
            "production",
            "`production`: the version that serves there. `previous`: what the service had before.",
            type="string",
            enum=list(get_args(CloudRunTarget)),
            title="Which version",
        ),
        "reason": Param(
            None, "Why; the ledger keeps it.", type=["string", "null"], maxLength=2000, title="Reason"
        ),
    }


def as_the_form_says(run: Context) -> dict[str, Any]:
    """What the DAG `cloud_run_<model>` was asked for."""
    return {"to": run["params"]["to"], "reason": run["params"]["reason"] or ""}


def of_the_release(run: Context) -> dict[str, Any]:
    """What a release, which has just promoted its version, asks for."""
    return {"to": "production", "reason": run["params"]["reason"] or ""}


def bring_to_cloud_run(
    spec: PipelineSpec, asked: Callable[[Context], dict[str, Any]], after: XComArg | None = None
) -> None:
    """Plan a revision, make it, see it answer, decide, move the traffic, and see that it has moved; nothing
    where the model has no Cloud Run service.
    """
    if spec.release.cloud_run is None:
        return
    with TaskGroup("cloud_run", prefix_group_id=False, tooltip="The Cloud Run service of the model"):
        plan = step("plan_cloud_run", {"spec": spec}, from_run=asked)
        opened = OpenRevision(task_id="open_revision", plan=plan, poll_seconds=POLL_SECONDS).output
        decision = step("judge_cloud_run", {}, {"plan": plan, "seen": opened})
        moved = MoveTraffic(task_id="move_traffic", decision=decision, poll_seconds=POLL_SECONDS).output
        step("close_cloud_run", {}, {"decision": decision, "serving": moved})
    if after is not None:
        after >> plan
