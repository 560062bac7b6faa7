"""`perennial reproduce`: train a version again, and say whether the same model comes of it."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import show
from cli.app import AsJson, app, place_of
from cli.exits import REFUSED
from cli.names import Model, require_known

if TYPE_CHECKING:
    from cli.airflow import Airflow
    from cli.place import Place
    from tasks.contracts import Reproduction

WhichCode = Literal["recorded", "here"]


@app.command()
def reproduce(
    context: typer.Context,
    model: Model,
    version: Annotated[str | None, typer.Argument(help="Its number. Without one, the champion.")] = None,
    *,
    code: Annotated[
        WhichCode, typer.Option("--code", help="That of its own commit, or the files of this project.")
    ] = "recorded",
    here: Annotated[
        bool, typer.Option("--here", help="On this machine, also where a platform runs that could do it.")
    ] = False,
    unpause: Annotated[bool, typer.Option("--unpause", help="Switch its DAG on where it is paused.")] = False,
    json: AsJson = False,
) -> None:
    """Train a version again from its own commit, rows and seed, and compare weights, metrics and answers.

    By its DAG where a platform runs; else, or with --here, on this machine, which has to reach the stores.
    """
    place = place_of(context)
    require_known(place, model)
    if version and not (version.isascii() and version.isdecimal() and not version.startswith("0")):
        raise typer.BadParameter(f"{version!r} is no number of a version.", param_hint="VERSION")
    if place.runs and not here:
        found = _by_airflow(place.airflow, model, {"version": version, "code": code}, unpause=unpause)
    else:
        found = _on_this_machine(place, model, version, code)
    if json:
        show.as_json(found)
    else:
        _show(found)
    if found.verdict == "different":
        raise typer.Exit(REFUSED)


def _by_airflow(airflow: "Airflow", model: str, conf: dict[str, Any], *, unpause: bool) -> "Reproduction":
    """Through its DAG, which fails where another model comes of it."""
    from cli.asked import RunFailed, follow, start
    from tasks.contracts import Reproduction
    from tasks.errors import InvalidRequest

    dag_id = f"reproduce_{model}"
    run_id = start(airflow, dag_id, conf, unpause=unpause)
    try:
        follow(airflow, dag_id, run_id)
    except RunFailed as failed:
        try:
            result = airflow.result(dag_id, run_id, "reproduce")
        except InvalidRequest:  # the step itself failed, and left no result
            raise failed from None
        return Reproduction.model_validate(result)
    return Reproduction.model_validate(airflow.result(dag_id, run_id, "attest"))


def _on_this_machine(place: "Place", model: str, version: str | None, code: WhichCode) -> "Reproduction":
    from tasks.provenance.by_hand import attest_here, reproduce_here, request_of

    request = request_of(model, place.person, version, code)
    if place.has_ledger_here:
        place.require_whole_ledger()
    with redirect_stdout(sys.stderr):
        found = reproduce_here(request)
    if place.has_ledger_here:
        return attest_here(found, request)
    show.tell(f"Kept with the MLflow run {found.reproduced_as}; the ledger cannot be reached from here.")
    return found


def _show(found: "Reproduction") -> None:
    typer.echo(f"{found.model} version {found.version} is {found.why}")
    rows: list[show.Row] = [
        (f"{each.file}: {each.tensor}", each.recorded_sha256, each.here_sha256, each.max_abs_difference)
        for each in found.largest
    ]
    rows += [(each.file, each.recorded_sha256, each.here_sha256, None) for each in found.files]
    rows += [(metric.name, metric.recorded, metric.here, None) for metric in found.metrics]
    rows += [(condition.name, condition.recorded, condition.here, None) for condition in found.conditions]
    if rows:
        show.table(("WHAT", "WAS", "IS", "OFF BY"), rows, nothing="")
