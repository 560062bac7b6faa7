"""`perennial rollback`: send a model's requests back to the version that served before."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.app import AsJson, Why, app, place_of
from cli.names import Model, require_known

if TYPE_CHECKING:
    from cli.place import Place

DAG = "rollback_model"


@app.command()
def rollback(
    context: typer.Context,
    model: Model,
    *,
    why: Why,
    leaving: Annotated[
        str | None,
        typer.Option(
            "--leaving", help="The version to leave; nothing changes where another one serves by then."
        ),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", help="Where: production, or an environment before it.")
    ] = "production",
    directly: Annotated[
        bool,
        typer.Option(
            "--directly",
            help="Past Airflow, whose start of a step takes most of the time, and also while that is down. "
            "Only on the platform's machine.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Go back to the version that truly served before the present one; during a release, end that."""
    place = place_of(context)
    place.require_running()
    require_known(place, model)
    if directly and environment != "production":
        raise typer.BadParameter("--directly is for production alone; leave it out.")
    if directly:
        rollout = _directly(place, model, why, leaving)
    else:
        rollout = _by_airflow(place, model, why, leaving, environment)
    if json:
        show.as_json(rollout)
        return
    if rollout["verdict"] == "kept_previous":
        ended = rollout["candidate"]["model_version"]
        serving = rollout["stable"]["model_version"]
        typer.echo(
            f"{model}: version {ended} gets no requests any more; version {serving} answers everything. To "
            f"leave that, too: perennial rollback {model} --leaving {serving} --why ..."
        )
        return
    where = "" if environment == "production" else f" in {environment}"
    left = rollout["previous"]["model_version"] if rollout["previous"] else None
    if rollout["verdict"] == "withdrawn":
        typer.echo(
            f"{model}: version {left} was the first{where}: none serves there now, and it does not come to "
            "production."
        )
        return
    typer.echo(
        f"{model}: version {rollout['stable']['model_version']} serves again{where}, instead of version "
        f"{left}."
    )


def _by_airflow(
    place: "Place", model: str, why: str, leaving: str | None, environment: str
) -> dict[str, Any]:
    """Through the DAG, whose step is tried again where it is killed."""
    from cli.asked import result_of

    asked = {"model": model, "reason": why, "leaving": leaving, "environment": environment}
    done: dict[str, Any] = result_of(place.airflow, DAG, "rollback", asked)
    return done


def _directly(place: "Place", model: str, why: str, leaving: str | None) -> dict[str, Any]:
    """What the DAG's step does, in this process."""
    from tasks.errors import InvalidRequest
    from tasks.release.rollback import roll_back

    if place.is_remote:
        raise InvalidRequest("--directly works on the platform's own machine only. Leave it out.")
    return roll_back(model, place.person, why, leaving=leaving).model_dump(mode="json")
