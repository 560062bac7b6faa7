"""The tasks of the drift DAG: judge the traffic, ask a person where that is due, and request a training."""

from typing import Any

from airflow.sdk import Context, XComArg

from plugins.approval import AskPerson
from plugins.forms import window
from plugins.operators import StartTraining, hindrance
from plugins.verbs import model_step, step
from plugins.watch_forms import answer_form
from tasks.spec import PipelineSpec


def check_drift(spec: PipelineSpec, after: XComArg) -> XComArg:
    """Judge the window's traffic; broken data fails the task as an incident and never leads to a training."""
    decision = model_step("drift", spec, {}, from_run=window_of, fail_because=incident)
    after >> decision
    return decision


def ask_person(spec: PipelineSpec, decision: XComArg) -> XComArg:
    """Ask a person whether the model is trained, where the check does not decide that by itself."""
    return AskPerson(
        task_id="approve",
        subject=f"Is {spec.name} trained again?",
        params=answer_form(),
        decision=decision,
        schedule=spec.monitor.schedule,
    ).output


def request_retrain(spec: PipelineSpec, decision: XComArg, approval: XComArg) -> XComArg:
    """Ask for a training when drift was decided, or put down that a person wants none; of many requests one
    is granted, and none while nothing would start.
    """

    def wanted(run: Context) -> dict[str, Any]:
        return {"hindrance": hindrance(run, f"train_{spec.name}")}

    inputs = {"decision": decision, "approval": approval}
    return step("retrain", {"spec": spec}, inputs, from_run=wanted, skip_because=not_drifted)


def start_training(spec: PipelineSpec, ticket: XComArg) -> None:
    """Start the granted training; skipped when the request was refused."""
    StartTraining(task_id="start_training", trigger_dag_id=f"train_{spec.name}", ticket=ticket)


def window_of(run: Context) -> dict[str, Any]:
    """The window that is judged."""
    start, end = window(run["params"], run["dag_run"].run_after)
    return {"window_start": start, "window_end": end}


def incident(decision: dict[str, Any]) -> str | None:
    """What is wrong with the traffic's data; None for a decision about drift."""
    return str(decision["why"]) if decision["verdict"] == "incident" else None


def not_drifted(inputs: dict[str, Any]) -> str | None:
    """Why no training is asked for; None when drift was decided, and a person was asked where that is due."""
    decision = inputs["decision"]
    return None if decision["verdict"] in {"retrain", "ask"} else str(decision["why"])
