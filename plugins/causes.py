"""Why a training runs: what started it, and what it was asked for."""

from typing import Any

from airflow.sdk import Context

from plugins.forms import OPENLINEAGE
from plugins.operators import BY_CLOCK, BY_DATA
from plugins.schedules import is_a_look
from tasks.contracts import StartedBy
from tasks.spec import PipelineSpec

LOOKS = {
    "age": "the champion is older than training.maximum_age_days",
    "code": "the model's code is not what the champion was trained with (training.on_code_change)",
}
CAUSES = {BY_CLOCK: "the schedule", BY_DATA: "rows joined the table"}
FORM_ONLY = ("reason", "as_of", OPENLINEAGE)


def training_asked(run: Context, spec: PipelineSpec) -> dict[str, Any]:
    """What the train step is asked for by the run."""
    by = started_by(run, spec)
    found = {"reason": LOOKS[by]} if by in LOOKS else {}
    return {**asked_of_training(run), **found, "started_by": by}


def asked_of_training(run: Context) -> dict[str, Any]:
    """The parameters and the reason that a training run was started with."""
    params = run["params"]
    cause = CAUSES.get(run["dag_run"].run_type, "asked for by hand")
    parameters = {name: value for name, value in params.items() if name not in FORM_ONLY}
    return {"parameters": parameters, "reason": params["reason"] or cause}


def started_by(run: Context, spec: PipelineSpec) -> StartedBy:
    """What started a training run: a clock, rows, a request that the ledger granted, or else a person."""
    ran = run["dag_run"]
    if ran.run_type == BY_DATA:
        return "data"
    if ran.run_type == BY_CLOCK:
        is_look = is_a_look(spec, ran.logical_date or ran.run_after)
        return _found_by_a_look(run, spec) if is_look else "calendar"
    from tasks.ledger.champions import started_a_granted_training

    return started_a_granted_training(spec.name, ran.run_id) or "manual"


def _found_by_a_look(run: Context, spec: PipelineSpec) -> StartedBy:
    """Where it is looked for one thing, that; where for both, the task `count` says which it was."""
    if not spec.training.on_code_change:
        return "age"
    if spec.training.maximum_age_days is None:
        return "code"
    found: StartedBy = run["ti"].xcom_pull(task_ids="count")["look_found"]
    return found
