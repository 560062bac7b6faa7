"""`perennial ab`: compare two versions at fixed weights; which is better is said once labels are there."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.app import AsJson, Why, app, place_of
from cli.names import Model, require_known

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.spec import PipelineSpec

words = typer.Typer(no_args_is_help=True, help="Compare a version with what serves, at fixed weights (A/B).")
app.add_typer(words, name="ab")


@words.command()
def start(
    context: typer.Context,
    model: Model,
    version: Annotated[str, typer.Argument(help="The number of a version that the gate promoted.")],
    *,
    why: Why,
    share: Annotated[float, typer.Option("--share", help="Of the requests, answered by it.")] = 0.5,
    labels: Annotated[
        int, typer.Option("--labels", help="How many labelled answers, of both, are compared.")
    ] = 2000,
    json: AsJson = False,
) -> None:
    """Let a version answer its share of the requests, once it is loaded and accepted."""
    place, spec = _here(context, model)
    from tasks.percent import percent
    from tasks.release.ab import Wanted, start_ab

    comparison = start_ab(spec, Wanted(version, share, labels), place.person, why)
    if json:
        show.as_json(comparison.model_dump(mode="json"))
        return
    typer.echo(
        f"{model}: version {version} answers {percent(share)} of the requests, version "
        f"{comparison.stable.model_version} the others. Which is better is said after {labels} labels: "
        f"perennial ab report {model}"
    )


@words.command()
def report(context: typer.Context, model: Model, *, json: AsJson = False) -> None:
    """Say which version is better; before the declared number of labels is there, only how many are."""
    place, spec = _here(context, model)
    from tasks.release.ab import report_ab

    said = report_ab(spec, place.person)
    if json:
        show.as_json(said.model_dump(mode="json"))
        return
    typer.echo(f"{model}: {said.why}")


@words.command()
def stop(context: typer.Context, model: Model, *, why: Why, json: AsJson = False) -> None:
    """Let what serves answer everything again."""
    place, spec = _here(context, model)
    from tasks.release.ab import stop_ab

    comparison = stop_ab(spec, place.person, why)
    if json:
        show.as_json(comparison.model_dump(mode="json"))
        return
    typer.echo(
        f"{model}: version {comparison.candidate.model_version} gets no requests any more; version "
        f"{comparison.stable.model_version} answers everything."
    )


def _here(context: typer.Context, model: str) -> "tuple[Place, PipelineSpec]":
    """The platform, which has to be reached by more than its public address, and the model.

    Raises:
        PlatformAway: None runs.
        InvalidRequest: Only its public address is known here.
    """
    place = place_of(context)
    place.require_running()
    if place.is_remote:
        from tasks.errors import InvalidRequest

        raise InvalidRequest(
            "Two versions are compared from the platform's own machine: run `perennial ab` there."
        )
    require_known(place, model)
    from tasks.settings import settings
    from tasks.spec import PipelineSpec

    return place, PipelineSpec.load(settings().models / model / "pipeline.yaml")
