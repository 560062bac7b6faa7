"""`perennial release`: let a version reach its users, as the model's specification says."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.names import Model, require_known

if TYPE_CHECKING:
    from cli.airflow import Airflow


@app.command()
def release(
    context: typer.Context,
    model: Model,
    version: Annotated[str, typer.Argument(help="The number of a version that the gate promoted.")],
    *,
    environment: Annotated[
        str,
        typer.Option("--environment", help="End the release at this environment, after those before it."),
    ] = "production",
    why: Annotated[str, typer.Option("--why", help="Why; the ledger keeps it.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended, and say how.")] = False,
    json: AsJson = False,
) -> None:
    """Start the release of a version: acceptance, shadow, canary, full, as pipeline.yaml says."""
    from cli.asked import start

    place = place_of(context)
    place.require_running()
    require_known(place, model)
    dag_id = f"release_{model}"
    conf = {"version": version, "environment": environment, **({"reason": why} if why else {})}
    run_id = start(place.airflow, dag_id, conf)
    page = place.airflow.page(dag_id, run_id)
    show.tell(f"Started {run_id}: {page}")
    document: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "page": page}
    if wait:
        task_id = "promote" if environment == "production" else f"enter_{environment}"
        document["release"] = _end(place.airflow, dag_id, run_id, task_id)
    if json:
        show.as_json(document)
    elif wait:
        typer.echo(_told(model, version, environment, document["release"]))


def _end(airflow: "Airflow", dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
    """What serves by the end of a run that went well; None where nothing was to be promoted.

    Raises:
        RunFailed: It failed, as where a stage went back.
    """
    from cli.asked import follow
    from tasks.errors import InvalidRequest

    follow(airflow, dag_id, run_id)
    try:
        done: dict[str, Any] = airflow.result(dag_id, run_id, task_id)
    except InvalidRequest:
        return None
    return done


def _told(model: str, version: str, environment: str, rollout: dict[str, Any] | None) -> str:
    if rollout is not None and environment != "production":
        return f"{model}: version {rollout['route']['model_version']} serves in {environment}."
    if rollout is None:
        return f"{model}: copies were compared for version {version}; the ledger has what they showed."
    return f"{model}: version {rollout['stable']['model_version']} serves."
