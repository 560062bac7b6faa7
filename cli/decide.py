"""`perennial decide`: say whether a batch, or what is held of a sender, may be trained on."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import show
from cli.about import batch_of
from cli.app import AsJson, Why, app, place_of
from cli.asked import result_of
from cli.names import Model, require_known

if TYPE_CHECKING:
    from cli.place import Place

BATCH, SENDER = "decide_batch", "decide_sender"
DoorReason = Literal["flood", "probing", "out_of_distribution"]


@app.command()
def decide(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    model: Model,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="BATCH|sender:NAME",
            help="A batch's id, or the name of its file; or a sender by its token's name, of whom labelled "
            "requests are held (sender: alone for those without a token).",
        ),
    ],
    what: Annotated[
        Literal["release", "confirm"],
        typer.Argument(
            metavar="release|confirm",
            help="release: the next training sees it. confirm: none of this model ever does.",
        ),
    ],
    *,
    why: Why,
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Of a sender: only what it asked on this day (UTC), as 2026-01-31."
        ),
    ] = None,
    reason: Annotated[
        DoorReason | None,
        typer.Option(help="Of a sender: only what is held for this reason; the rest stays held."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Release a batch whose labels a model has in quarantine, or confirm that it is never trained on. The
    same of a sender whose labelled requests are held at the door.
    """
    place = place_of(context)
    require_known(place, model)
    asked = {"model": model, "decision": what, "reason": why}
    from tasks.contracts.door import OF_SENDER, in_words

    if subject.startswith(OF_SENDER):
        sender = subject.removeprefix(OF_SENDER)
        only = {"day": f"{day:%Y-%m-%d}" if day else None, "held_for": reason}
        decided = _decided(place, SENDER, {**asked, "sender": sender, **only})
        told = f"{model} has {decided['rows']} requests of {in_words(subject)}{_held_for(reason)} as "
        told += decided["after"]
        told += f"; {decided.get('still_held') or 'none'} of this sender are held still."
    else:
        batch_id = batch_of(place, subject, "can be decided on").batch_id
        decided = _decided(place, BATCH, {**asked, "batch_id": batch_id})
        told = f"{model} has the batch {batch_id} as {decided['after']}; it was {decided['before']}."
    if json:
        show.as_json(decided)
    else:
        typer.echo(told)


def _held_for(reason: str | None) -> str:
    return f" that were held for {reason}" if reason else " that were held"


def _decided(place: "Place", verb: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Start the DAG of the decision, wait for it, and give what it decided."""
    dag_id = f"{verb}_model"
    decided: dict[str, Any] = result_of(place.airflow, dag_id, verb, asked)
    return decided
