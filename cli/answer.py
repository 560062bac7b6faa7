"""`perennial answer`: say what a label incident is."""

from typing import Annotated, Literal

import typer

from cli import show
from cli.app import AsJson, Why, app, place_of
from cli.names import Model, require_known

DAG = "label_incident_model"


@app.command()
def answer(
    context: typer.Context,
    model: Model,
    what: Annotated[
        Literal["poison", "the_world"],
        typer.Argument(
            metavar="poison|the_world",
            help="poison: the new labels are wrong. the_world: they are right, and it has changed.",
        ),
    ],
    *,
    why: Why,
    json: AsJson = False,
) -> None:
    """Answer a label incident, which holds a model's candidates until a person has looked at the labels."""
    from cli.asked import follow, start

    place = place_of(context)
    place.require_running()
    require_known(place, model)
    run_id = start(place.airflow, DAG, {"model": model, "answer": what, "reason": why})
    follow(place.airflow, DAG, run_id)
    answered = place.airflow.result(DAG, run_id, "label_incident")
    if json:
        show.as_json(answered)
        return
    rows = [(batch["batch_id"], batch["rows"]) for batch in answered["batches"]]
    show.table(
        ("BATCH", "ROWS"), rows, nothing="No batch has joined the table since the champion's snapshot."
    )
    show.tell(answered["next_step"])
