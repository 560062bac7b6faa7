"""`perennial train`: ask for a training, as the Trigger button of its DAG does."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.exits import DONE, LABEL_INCIDENT, NOTHING, QUARANTINED, REFUSED
from cli.names import Model, require_known
from tasks.errors import InvalidRequest

if TYPE_CHECKING:
    from cli.airflow import Airflow
    from cli.asked import RunFailed


@app.command()
def train(
    context: typer.Context,
    model: Model,
    *,
    why: Annotated[str, typer.Option("--why", help="Why it is asked for; kept with the run.")] = "",
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A field of the form, such as epochs=6. Repeatable."
        ),
    ] = None,
    unpause: Annotated[bool, typer.Option("--unpause", help="Switch its DAG on where it is paused.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until it has ended, and say what the gate said.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Start a training: the same DAG, form and checks as with Trigger in Airflow's pages."""
    from cli.asked import start

    place = place_of(context)
    place.require_running()
    require_known(place, model)
    dag_id = f"train_{model}"
    conf = {**_parsed(parameters or []), **({"reason": why} if why else {})}
    run_id = start(place.airflow, dag_id, conf, unpause=unpause)
    page = place.airflow.page(dag_id, run_id)
    if not json:
        show.tell(f"Started {run_id}: {page}")
    document: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "page": page}
    failed = None
    if wait:
        document["gate"], failed = _end(place.airflow, dag_id, run_id)
        document["failed"] = [asdict(each) for each in failed.failures] if failed else []
    if json:
        show.as_json(document)
    elif wait and document["gate"]:
        typer.echo(_told(document["gate"]))
    if failed is not None:
        # Both may have happened; the incident holds every candidate, the quarantine one batch.
        if failed.exit_code == QUARANTINED and document["gate"] and _has_incident(document["gate"]):
            failed.exit_code = LABEL_INCIDENT
        raise failed
    if wait and (code := _code(document["gate"])) != DONE:
        raise typer.Exit(code)


def _end(airflow: "Airflow", dag_id: str, run_id: str) -> "tuple[dict[str, Any] | None, RunFailed | None]":
    """What the gate said by a run's end, None where it had nothing to judge; and how the run failed, if it
    did. The gate may have said it before that, as where a batch was quarantined.
    """
    from cli.asked import RunFailed, follow

    failed = None
    try:
        follow(airflow, dag_id, run_id)
    except RunFailed as error:
        failed = error
    try:
        return airflow.result(dag_id, run_id, "gate"), failed
    except InvalidRequest:
        return None, failed


def _code(gate: dict[str, Any] | None) -> int:
    """The exit code for a run that ended well."""
    if gate is None:
        show.tell("The run was skipped before the gate: its page says why nothing was judged.")
        return NOTHING
    if _has_incident(gate):
        return LABEL_INCIDENT
    return DONE if gate["verdict"] == "promote" else REFUSED


def _has_incident(gate: dict[str, Any]) -> bool:
    return any(rule["rule"] == "label_incident" and not rule["passed"] for rule in gate["rules"])


def _told(gate: dict[str, Any]) -> str:
    return f"The gate says {gate['verdict']}. {gate['why']}"


def _parsed(pairs: list[str]) -> dict[str, Any]:
    """Each value as JSON where it is some, else as text: Airflow's form checks it."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--set")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
