"""The entry point of every heavy step, in a process, a container or a pod alike."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.step import execute


def main(
    verb: Annotated[str, typer.Argument(help="What to do: a module of `tasks`.")],
    request: Annotated[Path, typer.Option(help="The request, JSON.", exists=True, dir_okay=False)],
    result: Annotated[Path, typer.Option(help="Where the result is written, JSON.")],
) -> None:
    """Run one step from its request file to its result file."""
    raise typer.Exit(execute(verb, request, result))


if __name__ == "__main__":
    typer.run(main)
