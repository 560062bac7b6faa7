"""What a word about one thing needs: its name, the platform's records, and where a file is written."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.place import Place
    from tasks.contracts import Explanation, Subject

EXPLAIN = "explain_subject"
STANDARD_OUTPUT = "-"

About = Annotated[
    list[str],
    typer.Argument(
        metavar="SUBJECT",
        help="A prediction's id, a version (model/3), the id of a run of MLflow's or Airflow's, an entry's "
        "number in the ledger, a batch's id or file, a row (table:key), or a model; where several have the "
        "name, with the kind before it (batch:day.csv, model:reviews).",
    ),
]


def explanation_of(place: "Place", subject: str) -> "Explanation":
    """Explain what a text names: here where the records can be read, else by the DAG of a platform elsewhere.

    Raises:
        NotFound: Nothing has this name, or several things have.
        RunFailed: The same, said by the task of a platform elsewhere.
        PlatformAway: None runs.
    """
    if place.is_remote:
        return _explained_there(place, subject)
    require_records(place)
    from tasks.provenance.why import why

    return why(subject)


def batch_of(place: "Place", name: str, what: str) -> "Subject":
    """The batch that a text names.

    Args:
        what: Can be done with a batch alone, for example "can be recalled".

    Raises:
        InvalidRequest: It is the name of something else.
        NotFound, RunFailed, PlatformAway: As `explanation_of`.
    """
    if not place.is_remote:
        require_records(place)
        from tasks.provenance.subject import find_batch

        return find_batch(name, what)
    from tasks.errors import InvalidRequest
    from tasks.provenance.subject import told

    subject = _explained_there(place, name).subject
    if subject.kind != "batch":
        raise InvalidRequest(f"{name!r} is {told(subject)}, and only a batch {what}.")
    return subject


def _explained_there(place: "Place", subject: str) -> "Explanation":
    from cli.asked import result_of
    from tasks.contracts import Explained

    explained = result_of(place.airflow, EXPLAIN, "explain", {"subject": subject})
    return Explained.model_validate(explained).explanation


def require_records(place: "Place") -> None:
    """Refuse a platform that does not run or whose lake, ledger and MLflow this process cannot read.

    Raises:
        InvalidRequest: The platform is elsewhere.
        PlatformAway: None runs.
    """
    from tasks.errors import InvalidRequest

    if place.is_remote:
        raise InvalidRequest(
            "This reads the files of the lake themselves, which a platform elsewhere does not show. Ask on "
            "its own machine, without PERENNIAL_URL."
        )
    place.require_running()
    # A look is no step: it waits for nobody.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


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
