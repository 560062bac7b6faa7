"""`perennial decide`: say whether a batch may be trained on."""

from typing import Annotated, Literal

import typer

from cli import show
from cli.about import batch_of
from cli.app import AsJson, Why, app, place_of
from cli.asked import follow, start
from cli.names import Model, require_known

DAG = "decide_batch_model"


@app.command()
def decide(
    context: typer.Context,
    model: Model,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, or the name of the file.")],
    what: Annotated[
        Literal["release", "confirm"],
        typer.Argument(
            metavar="release|confirm",
            help="release: the next training sees it. confirm: none of this model ever does.",
        ),
    ],
    *,
    why: Why,
    json: AsJson = False,
) -> None:
    """Release a batch whose labels a model has in quarantine, or confirm that it is never trained on."""
    place = place_of(context)
    require_known(place, model)
    subject = batch_of(place, batch, "can be decided on")
    asked = {"model": model, "batch_id": subject.batch_id, "decision": what, "reason": why}
    run_id = start(place.airflow, DAG, asked)
    follow(place.airflow, DAG, run_id)
    decided = place.airflow.result(DAG, run_id, "decide_batch")
    if json:
        show.as_json(decided)
    else:
        typer.echo(
            f"{model} has the batch {subject.batch_id} as {decided['after']}; it was {decided['before']}."
        )
