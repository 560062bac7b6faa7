"""What a word about one thing needs: its name, the platform's records, and where a file is written."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.place import Place

STANDARD_OUTPUT = "-"

About = Annotated[
    list[str],
    typer.Argument(
        metavar="SUBJECT",
        help="A prediction's id, a version (model/3), a run's id, a batch's id or file, a row (table:key), "
        "or a model; where several have the name, with the kind before it (batch:day.csv, model:reviews).",
    ),
]


def require_records(place: "Place") -> None:
    """Refuse a platform whose lake, ledger and MLflow this process cannot read.

    Raises:
        InvalidRequest: The platform is elsewhere.
        PlatformAway: None runs.
    """
    from tasks.errors import InvalidRequest

    if place.is_remote:
        raise InvalidRequest(
            "This reads the lake, the ledger and MLflow themselves, which a platform elsewhere does not "
            "show. Ask on its own machine, without PERENNIAL_URL."
        )
    place.require_running()
    # A look is no step: it waits for nobody, and shows no bar for a file of a few lines.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def write(file: str, content: bytes) -> None:
    """Write a file, or standard output for `-`.

    Raises:
        InvalidRequest: It cannot be written there.
    """
    from tasks.errors import InvalidRequest

    if file == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(file).write_bytes(content)
    except OSError as error:
        raise InvalidRequest(
            f"{file} cannot be written: {error.strerror}. Name a file in a folder of yours."
        ) from error
