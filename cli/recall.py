"""`perennial recall`: leave a batch out of every later training, and train again what serves by it."""

from typing import Annotated

import typer

from cli import show
from cli.about import require_records
from cli.app import AsJson, Why, app, place_of
from cli.asked import follow, start

DAG = "recall_batch"


@app.command()
def recall(
    context: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, or the name of the file.")],
    *,
    why: Why,
    json: AsJson = False,
) -> None:
    """Leave a batch out of every later training, name what used it, and ask for trainings without it."""
    place = place_of(context)
    require_records(place)
    from tasks.provenance.subject import find_batch

    subject = find_batch(batch, "can be recalled")
    asked = {"batch_id": subject.batch_id, "table": subject.table, "reason": why}
    run_id = start(place.airflow, DAG, asked)
    follow(place.airflow, DAG, run_id)
    done = place.airflow.result(DAG, run_id, "recall")
    if json:
        show.as_json(done)
        return
    typer.echo(f"The batch {subject.batch_id} of {subject.table} is left out of every training from now on.")
    for use in done["usage"]["uses"]:
        version = f"version {use['version']}" if use["version"] else "no version"
        serves = ", which serves," if use["serves"] else ""
        typer.echo(f"{use['model']}: {version}{serves} used it and gave {use['answers']['rows']} answers.")
    for ticket in done["tickets"]:
        asked_for = f"training {ticket['train_run_id']} starts" if ticket["granted"] else "no training starts"
        typer.echo(f"{ticket['model']}: {asked_for}. {ticket['reason']}")
