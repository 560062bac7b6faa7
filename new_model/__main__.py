"""`python -m new_model NAME TASK` (`make model NAME=... TASK=...`)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from new_model.make import make
from tasks.errors import PerennialError
from tasks.settings import forget_another_clone, settings

NEXT = """\
Made {folder}/ and {suite}.
It trains as it is, on invented deliveries. Replace example_data.py, features.py and labels.py by what your
data is, and say so in pipeline.yaml and the suite: docs/bring-your-model.md goes through them.

`make check NAME={name}` says whether the files fit each other. To see it work on the embedded platform, which
sees the new folder within a minute, let the example rows land, and trigger the training when ingest_{name}
is done:
  {python} {folder}/example_data.py --output {landing}/{name}
  make airflow ARGS="dags trigger train_{name}"
"""


def main(
    name: Annotated[str, typer.Argument(help="The model's name, as in models/<name>.")] = "",
    task: Annotated[str, typer.Argument(help="What it predicts: binary, multiclass or regression.")] = "",
) -> None:
    """Make a new model's folder and suite."""
    forget_another_clone()
    try:
        made = make(name, task)
    except PerennialError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    paths = {"folder": made.folder, "suite": made.suite, "python": settings().python()}
    shown = {role: _from_here(path) for role, path in paths.items()}
    print(NEXT.format(name=name, landing=_from_here(Path(settings().landing)), **shown))


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    typer.run(main)
