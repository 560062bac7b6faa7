"""`perennial breaker`: let a model be retrained again after retrain after retrain came to nothing."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import show
from cli.app import AsJson, WhyIfAny, app, place_of, require_reason
from cli.names import Model, require_known
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place

DAG = "close_breaker_model"
COLUMNS = ("TRAINING", "GRANTED", "CAME TO")


@app.command()
def breaker(
    context: typer.Context,
    model: Model,
    what: Annotated[
        Literal["close"] | None,
        typer.Argument(
            metavar="close",
            help="close: you have looked why, and it may be retrained again. Without it, the retrains that "
            "came to nothing are shown, and nothing is closed.",
        ),
    ] = None,
    *,
    why: WhyIfAny = "",
    json: AsJson = False,
) -> None:
    """Close a model's breaker, which stops retrains after several in a row were refused or did not help."""
    from cli.asked import result_of

    if what:
        require_reason(why)
    place = place_of(context)
    place.require_running()
    require_known(place, model)
    if what is None:
        _look(place, model, json=json)
        return
    closed = result_of(place.airflow, DAG, "close_breaker", {"model": model, "reason": why})
    if json:
        show.as_json(closed)
        return
    typer.echo(f"{model} may be retrained again, after {closed['failures']} retrains that came to nothing.")


def _look(place: "Place", model: str, *, json: bool) -> None:
    """Show the retrains in a row that came to nothing."""
    from cli.about import require_records

    require_records(place)
    from tasks.monitoring.close_breaker import came_to_nothing

    found = came_to_nothing(model)
    if json:
        trainings = [{"train_run_id": each.run_id, "granted": each.granted.sequence} for each in found]
        show.as_json({"failures": len(found), "trainings": trainings})
        return
    rows = [
        (each.run_id, short(each.granted.at), "did not help" if each.promoted else "refused")
        for each in found
    ]
    show.table(COLUMNS, rows, nothing="No retrain in a row has come to nothing since the last closing.")
