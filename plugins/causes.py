"""Why a training runs: what started it, and what it was asked for."""

from typing import Any

from airflow.sdk import Context

from plugins.forms import OPENLINEAGE
from plugins.operators import BY_CLOCK, BY_DATA
from plugins.schedules import is_of_calendar
from tasks.contracts import StartedBy
from tasks.spec import PipelineSpec

CAUSES = {BY_CLOCK: "the schedule", BY_DATA: "rows joined the table"}
FORM_ONLY = ("reason", "as_of", OPENLINEAGE)


def training_asked(run: Context, spec: PipelineSpec) -> dict[str, Any]:
    """What the train step is asked for by the run."""
    by = started_by(run, spec)
    aged = {"reason": "the champion is older than training.maximum_age_days"} if by == "age" else {}
    return {**asked_of_training(run), **aged, "started_by": by}


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
        aged = spec.training.maximum_age_days is not None
        return "age" if aged and not is_of_calendar(spec, ran.logical_date or ran.run_after) else "calendar"
    from tasks.ledger.champions import started_a_granted_training

    return started_a_granted_training(spec.name, ran.run_id) or "manual"
