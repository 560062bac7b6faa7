"""`perennial withdraw`: serve a model no longer that was removed from the project."""

import typer

from cli import show
from cli.app import AsJson, Why, app, place_of
from cli.names import Model, require_known

DAG = "withdraw_model"


@app.command()
def withdraw(context: typer.Context, model: Model, *, why: Why, json: AsJson = False) -> None:
    """Take a model out of service whose folder was removed; what was recorded of it stays."""
    from cli.asked import result_of

    place = place_of(context)
    place.require_running()
    require_known(place, model)
    withdrawal = result_of(place.airflow, DAG, "withdraw", {"model": model, "reason": why})
    if json:
        show.as_json(withdrawal)
        return
    served = withdrawal["served"]
    typer.echo(
        f"{model}: "
        + (f"version {served['model_version']} serves no longer." if served else "nothing served.")
    )
