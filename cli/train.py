"""`perennial train`: ask for a training, as the Trigger button of its DAG does."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.exits import REFUSED
from cli.names import Model, require_known
from tasks.errors import InvalidRequest

if TYPE_CHECKING:
    from cli.airflow import Airflow


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
    document: dict[str, Any] = {
        "dag_id": dag_id,
        "run_id": run_id,
        "page": place.airflow.page(dag_id, run_id),
    }
    if not json:
        show.tell(f"Started {run_id}: {document['page']}")
    if wait:
        document["gate"] = _judged(place.airflow, dag_id, run_id)
    if json:
        show.as_json(document)
    elif wait:
        typer.echo(_told(document["gate"]))
    if wait and document["gate"]["verdict"] != "promote":
        raise typer.Exit(REFUSED)


def _judged(airflow: "Airflow", dag_id: str, run_id: str) -> dict[str, Any]:
    """What the gate said at the run's end. Where it had said it before something else failed, as where a
    batch was quarantined, that is told first.
    """
    from cli.asked import RunFailed, follow

    try:
        follow(airflow, dag_id, run_id)
    except RunFailed:
        with suppress(InvalidRequest):
            show.tell(_told(airflow.result(dag_id, run_id, "gate")))
        raise
    return airflow.result(dag_id, run_id, "gate")


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
