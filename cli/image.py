"""`perennial image`: the files of a self-contained serving image of one version, and what became of it."""

import sys
from typing import Annotated

import typer

from cli.app import app, place_of
from cli.names import Model, require_known

ONE_OF = "say one of --tar FILE, --accept ID and --pushed IMAGE@DIGEST --id ID"


@app.command()
def image(
    context: typer.Context,
    model: Model,
    version: Annotated[str, typer.Argument(help="Its number; the gate has promoted it.")],
    *,
    tar: Annotated[
        typer.FileBinaryWrite | None,
        typer.Option("--tar", metavar="FILE", help="Where to write its files; - for a pipe."),
    ] = None,
    accept: Annotated[
        str,
        typer.Option(
            "--accept",
            metavar="ID",
            help="Try the container of the image with this id, which is asked through this word's own "
            "standard input and output.",
        ),
    ] = "",
    pushed: Annotated[
        str,
        typer.Option("--pushed", metavar="IMAGE@DIGEST", help="Note in the ledger where a registry has it."),
    ] = "",
    image_id: Annotated[str, typer.Option("--id", metavar="ID", help="Which image was pushed.")] = "",
) -> None:
    """Write what a serving image of a promoted version holds, accept the image, or note where it was pushed;
    `make image` does all three.
    """
    place = place_of(context)
    require_known(place, model)
    if [bool(tar), bool(accept), bool(pushed)].count(True) != 1 or bool(image_id) != bool(pushed):
        raise typer.BadParameter(ONE_OF)
    if tar is not None and tar.isatty():
        raise typer.BadParameter("this is a terminal, and a tar is no text.", param_hint="--tar")
    from tasks.errors import InvalidRequest

    if place.is_remote:
        raise InvalidRequest(
            "The archives are read on the platform's own machine: run `perennial image` there."
        )
    if tar is not None:
        _write(model, version, tar)
    elif accept:
        _accept(model, version, accept, place.person)
    else:
        from tasks.release.image_record import note_pushed

        print(note_pushed(model, version, image_id, pushed, place.person).why, file=sys.stderr)


def _write(model: str, version: str, tar: typer.FileBinaryWrite) -> None:
    from tasks.release.image_files import write_image_files

    written = write_image_files(model, version, tar)
    tar.flush()
    told = f"{written.model} version {written.version}: archive {written.archive.sha256[:16]}…"
    print(told, file=sys.stderr)


def _accept(model: str, version: str, image_id: str, person: str) -> None:
    """Standard output carries the questions, so that everything for people goes to standard error."""
    from tasks.release.image_record import accept_image
    from tasks.release.image_relay import ImageRelay
    from tasks.settings import settings
    from tasks.spec import PipelineSpec

    spec = PipelineSpec.load(settings().models / model / "pipeline.yaml")
    questions, sys.stdout = sys.stdout, sys.stderr
    relay = ImageRelay(questions, sys.stdin, spec.serving.timeout_seconds)
    entry = accept_image(model, version, image_id, relay.ask, person)
    for check in entry.evidence["checks"]:
        print(f"  {check['check']}: {check['detail']}", file=sys.stderr)
    print(entry.why, file=sys.stderr)
