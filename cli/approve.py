"""`perennial approve` and `perennial reject`: answer the question that a release, or a drift check, asks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from cli import show
from cli.app import AsJson, Why, app, place_of
from cli.names import Model, require_known

if TYPE_CHECKING:
    from cli.runs import Run

APPROVE, REJECT = "Approve", "Reject"


@app.command()
def approve(context: typer.Context, model: Model, *, why: Why, json: AsJson = False) -> None:
    """Say yes to the question that waits for a person: a release goes on, or a training is asked for."""
    _answer(context, model, APPROVE, why, json=json)


@app.command()
def reject(context: typer.Context, model: Model, *, why: Why, json: AsJson = False) -> None:
    """Say no to it; so ends also the question of a release that is over, and lets later ones run."""
    _answer(context, model, REJECT, why, json=json)


def _answer(context: typer.Context, model: str, chosen: str, why: str, *, json: bool) -> None:
    """Answer by Airflow's REST API, as the person who is logged in: the next step writes down who said it."""
    from cli.runs import answer, asking

    place = place_of(context)
    place.require_running()
    require_known(place, model)
    run = the_one(model, asking(place.airflow))
    answered: dict[str, Any] = answer(place.airflow, run, chosen, why)
    if json:
        show.as_json({"dag_id": run.dag_id, "run_id": run.run_id, "task": run.asks, "answer": answered})
        return
    typer.echo(
        f"{model}: {run.asks} was answered with {chosen}. The step after it writes that down, with your name "
        f"and reason: {place.airflow.page(run.dag_id, run.run_id)}"
    )


def the_one(model: str, asking: "Sequence[Run]") -> "Run":
    """The run of a model that asks: its release before its drift check.

    Raises:
        InvalidRequest: None asks.
    """
    from tasks.errors import InvalidRequest

    families = (f"release_{model}", f"drift_{model}")
    found = [run for dag_id in families for run in asking if run.dag_id == dag_id]
    if not found:
        raise InvalidRequest(
            f"Nothing of {model} waits for a person's answer. `perennial status {model}` says what runs."
        )
    return found[0]
