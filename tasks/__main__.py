"""The entry point of every heavy step, in a process, a container or a pod alike."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import PerennialError
from tasks.runtime.leaving import run_and_leave
from tasks.settings import settings
from tasks.step import execute, refuse

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""What a step's libraries consist of stays; with Python's own threshold it is looked through again and again
while they are imported.
"""


def main(
    verb: Annotated[str, typer.Argument(help="What to do: a module of `tasks`.")],
    request: Annotated[str, typer.Option(help="The request, JSON: a path or an URL of the store.")],
    result: Annotated[str, typer.Option(help="Where the result is written, JSON.")],
    model: Annotated[
        str | None, typer.Option(help="Run in this model's own environment, where there is one.")
    ] = None,
) -> None:
    """Run one step from its request file to its result file."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        python = settings().python(model)
    except PerennialError as error:
        raise typer.Exit(refuse(error, result)) from error
    if model and python.exists() and python.parent != Path(sys.executable).parent:
        os.execv(python, [str(python), "-m", "tasks", verb, "--request", request, "--result", result])  # noqa: S606
    raise typer.Exit(execute(verb, request, result))


if __name__ == "__main__":
    run_and_leave(lambda: typer.run(main))
