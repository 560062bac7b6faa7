"""`perennial recall`: leave batches out of every later training, and train again what serves by them."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.about import batch_of
from cli.app import AsJson, Why, app, place_of
from cli.asked import result_of

if TYPE_CHECKING:
    from tasks.contracts import Usage

DAG = "recall_batch"


@app.command()
def recall(
    context: typer.Context,
    batches: Annotated[
        list[str], typer.Argument(metavar="BATCH...", help="The id of each, or the name of its file.")
    ],
    *,
    why: Why,
    json: AsJson = False,
) -> None:
    """Leave batches out of every later training, name what used them, and ask for trainings without them.

    All names are looked up before the first is recalled, and each model is trained again once.
    """
    place = place_of(context)
    subjects = [batch_of(place, name, "can be recalled") for name in batches]
    tables = {subject.table for subject in subjects}
    asked = {
        "batch_ids": [subject.batch_id for subject in subjects],
        "table": tables.pop() if len(tables) == 1 else None,
        "reason": why,
    }
    done = result_of(place.airflow, DAG, "recall", asked)
    if json:
        show.as_json(done)
        return
    from tasks.contracts import Usage

    for batch in done["batches"]:
        _print(Usage.model_validate(batch["usage"]))
    for ticket in done["tickets"]:
        asked_for = f"training {ticket['train_run_id']} starts" if ticket["granted"] else "no training starts"
        typer.echo(f"{ticket['model']}: {asked_for}. {ticket['reason']}")


def _print(usage: "Usage") -> None:
    from tasks.provenance.tell import tell_use

    [batch] = usage.batches
    typer.echo(f"The batch {batch.batch_id} of {usage.table} is left out of every training from now on.")
    for use in usage.uses:
        typer.echo(tell_use(use))
