"""`perennial triggers`: what may start a training of each model, and what it waits for."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.names import AnyModel, require_known
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.contracts import Trigger, Triggers

DAG = "show_triggers"
COLUMNS = ("MODEL", "TRIGGER", "ARMED", "NEXT", "AGAINST", "WAITS FOR")
BY_TIME = ("calendar", "age", "drift", "performance", "code")


@app.command()
def triggers(context: typer.Context, model: AnyModel = None, *, json: AsJson = False) -> None:
    """Show what may start a training of each model, when, what it waits for and what stands against it."""
    place = place_of(context)
    place.require_running()
    if model:
        require_known(place, model)
    found = _seen_there(place, model) if place.is_remote else _seen_here(model)
    dags = {dag["dag_id"]: dag for dag in place.airflow.every("/dags", "dags")}
    told = [
        (each.model, [_with_airflow(trigger, dags) for trigger in each.triggers]) for each in found.models
    ]
    if json:
        show.as_json({"models": [_document(name, kinds) for name, kinds in told]})
        return
    rows = [_row(name, trigger) for name, kinds in told for trigger in kinds]
    show.table(COLUMNS, rows, nothing="The project has no model yet: make model NAME=... TASK=...")


def _seen_here(model: str | None) -> "Triggers":
    from tasks.monitoring.triggers import look

    return look((model,) if model else ())


def _seen_there(place: "Place", model: str | None) -> "Triggers":
    """By a DAG: which rows no training has seen is in files that a platform elsewhere does not show."""
    from cli.asked import result_of
    from tasks.contracts import Triggers

    told = result_of(place.airflow, DAG, "triggers", {"model": model} if model else {})
    return Triggers.model_validate(told)


def _with_airflow(trigger: "Trigger", dags: dict[str, dict[str, Any]]) -> "Trigger":
    """With what Airflow alone knows: when its DAG looks next, and whether it is paused."""
    dag = dags.get(trigger.dag_id or "")
    if not dag or not trigger.armed:
        return trigger
    paused = (f"The DAG {trigger.dag_id} is paused.",) if dag["is_paused"] else ()
    at = dag.get("next_dagrun_run_after") if trigger.trigger in BY_TIME and not paused else None
    changed = {"against": (*paused, *trigger.against), "next_at": datetime.fromisoformat(at) if at else None}
    return trigger.model_copy(update=changed)


def _row(model: str, trigger: "Trigger") -> tuple[object, ...]:
    armed = "yes" if trigger.armed else "no"
    return (
        model,
        trigger.trigger,
        armed,
        short(trigger.next_at),
        " ".join(trigger.against),
        trigger.waits_for,
    )


def _document(model: str, kinds: "list[Trigger]") -> dict[str, Any]:
    plain = [each.model_dump(mode="json", exclude={"contract_version"}) for each in kinds]
    return {"model": model, "triggers": plain}
