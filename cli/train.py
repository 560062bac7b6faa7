"""`perennial train`: ask for a training, as the Trigger button of its DAG does."""

from typing import Annotated, Any

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.names import Model, require_known


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
    from cli.asked import follow, start

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
        follow(place.airflow, dag_id, run_id)
        document["gate"] = place.airflow.result(dag_id, run_id, "gate")
    if json:
        show.as_json(document)
    elif wait:
        typer.echo(f"The gate says {document['gate']['verdict']}. {document['gate']['why']}")


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
