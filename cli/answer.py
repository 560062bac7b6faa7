"""`perennial answer`: say what a label incident is."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import show
from cli.app import AsJson, WhyIfAny, app, place_of, require_reason
from cli.names import Model, require_known
from cli.times import short

if TYPE_CHECKING:
    from cli.place import Place

DAG = "label_incident_model"
COLUMNS = ("BATCH", "FILE", "JOINED", "ROWS")


@app.command()
def answer(
    context: typer.Context,
    model: Model,
    what: Annotated[
        Literal["poison", "the_world"] | None,
        typer.Argument(
            metavar="poison|the_world",
            help="poison: the new labels are wrong. the_world: they are right, and it has changed. Without "
            "either, the open incident and its batches are shown, and nothing is answered.",
        ),
    ] = None,
    *,
    why: WhyIfAny = "",
    json: AsJson = False,
) -> None:
    """Answer a label incident, which holds a model's candidates until a person has looked at the labels."""
    from cli.asked import result_of

    if what:
        require_reason(why)
    place = place_of(context)
    place.require_running()
    require_known(place, model)
    if what is None:
        _look(place, model, json=json)
        return
    answered = result_of(
        place.airflow, DAG, "label_incident", {"model": model, "answer": what, "reason": why}
    )
    if json:
        show.as_json(answered)
        return
    _print(answered["batches"])
    show.tell(answered["next_step"])


def _look(place: "Place", model: str, *, json: bool) -> None:
    """Show the incident and the batches that may have led to it."""
    from cli.about import require_records

    require_records(place)
    from tasks.gate.label_incident import suspects

    incident, batches = suspects(model)
    plain = [batch.model_dump(mode="json", exclude={"contract_version"}) for batch in batches]
    if json:
        show.as_json({"incident": incident, "batches": plain})
        return
    rule = next(each for each in incident.evidence["decision"]["rules"] if each["rule"] == "label_incident")
    typer.echo(f"Entry {incident.sequence} of the ledger: {rule['why']}")
    _print(plain)


def _print(batches: list[dict[str, Any]]) -> None:
    rows = [(each["batch_id"], each["file"], _joined(each["joined_at"]), each["rows"]) for each in batches]
    show.table(COLUMNS, rows, nothing="No batch has joined the table since the champion's snapshot.")


def _joined(at: str | None) -> str | None:
    return short(datetime.fromisoformat(at)) if at else None
