"""`perennial image`: the files of a self-contained serving image of one version."""

import sys
from typing import Annotated

import typer

from cli.app import app, place_of
from cli.names import Model, require_known


@app.command()
def image(
    context: typer.Context,
    model: Model,
    version: Annotated[str, typer.Argument(help="Its number; the gate has promoted it.")],
    *,
    tar: Annotated[
        typer.FileBinaryWrite,
        typer.Option("--tar", metavar="FILE", help="Where to write them; - for a pipe."),
    ],
) -> None:
    """Write what a serving image of a promoted version holds, as a tar; `make image` builds the image."""
    place = place_of(context)
    require_known(place, model)
    if tar.isatty():
        raise typer.BadParameter("this is a terminal, and a tar is no text.", param_hint="--tar")
    from tasks.release.image_files import write_image_files

    written = write_image_files(model, version, tar)
    tar.flush()
    print(
        f"{written.model} version {written.version}: archive {written.archive.sha256[:16]}…",
        file=sys.stderr,
    )
