"""`perennial lineage`: from an answer back to its rows, from a batch or a row on to its answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.about import STANDARD_OUTPUT, About, explanation_of, require_records, write
from cli.app import AsJson, app, place_of
from cli.times import short
from tasks.errors import InvalidRequest

if TYPE_CHECKING:
    from tasks.contracts import Explanation, Lineage, Usage

FIELDS = ("WHAT", "IS")
USES = ("MODEL", "VERSION", "SERVES", "ROWS", "ANSWERS", "FIRST", "LAST", "RUN")


@app.command()
def lineage(
    context: typer.Context,
    subject: About,
    *,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", metavar="FILE", help="Write the training rows as Parquet; - for standard output."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show what an answer or a version came from, or which versions and answers used a batch or a row."""
    place = place_of(context)
    if rows:
        require_records(place)
    found = explanation_of(place, " ".join(subject))
    if rows:
        found = _with_rows(found, rows)
    if rows == STANDARD_OUTPUT:
        return
    if json:
        show.as_json({"subject": found.subject, "lineage": found.lineage, "usage": found.usage})
    elif found.lineage:
        show.table(FIELDS, list(_fields(found.lineage)), nothing="")
    elif found.usage:
        _print(found.usage)
    else:
        typer.echo(found.why[0])
    for note in [
        *(found.lineage.notes if found.lineage else ()),
        *(found.usage.notes if found.usage else ()),
    ]:
        show.trouble(f"Mind: {note}")


def _with_rows(found: "Explanation", file: str) -> "Explanation":
    """Write the rows, and say where they are.

    Raises:
        InvalidRequest: There are none, or they cannot be written there.
        FrozenSetMismatch: They are not those that were frozen any more.
    """
    traced = found.lineage
    if traced is None or traced.run is None or traced.training_rows is None:
        raise InvalidRequest(
            "Training rows are those of an answer, a version or a run whose training ended well. Name one."
        )
    from tasks.provenance.training_rows import as_parquet

    write(file, as_parquet(traced.run.snapshot))
    told = traced.training_rows.model_copy(update={"parquet": file})
    return found.model_copy(update={"lineage": traced.model_copy(update={"training_rows": told})})


def _fields(found: "Lineage") -> Iterator[tuple[str, object]]:
    if answer := found.answer:
        yield "prediction", answer.prediction_id
        yield "answered at", short(answer.predicted_at)
        yield "request", answer.request
        yield "answer", answer.prediction
        yield "score", answer.score
        yield "latency, seconds", answer.latency_seconds
        yield "labels", ", ".join(repr(label.label) for label in answer.labels)
    yield "model", found.model
    yield "version", found.version.version if found.version else None
    yield "archive", found.archive.sha256 if found.archive else None
    yield "MLflow run", found.run_id
    yield "Airflow run", found.dag_run
    if run := found.run:
        yield "parameters", ", ".join(f"{name}={value}" for name, value in sorted(run.parameters.items()))
        yield "commit", run.code_commit
        yield "image", run.image_digest
        yield "lock", run.lock_sha256
        yield "tables", ", ".join(f"{each.table} v{each.version}" for each in run.snapshot.pinned)
        yield "as of", short(run.snapshot.as_of or run.snapshot.version_at)
        yield "query", run.snapshot.query
    if rows := found.training_rows:
        yield "rows", rows.rows
        yield "rows as SQL", rows.query
        yield "rows as a file", rows.parquet
        for batch in rows.batches:
            recalled = ", recalled since" if batch.recalled else ""
            yield "batch", f"{batch.file or batch.batch_id}: {batch.rows} rows{recalled}"


def _print(usage: "Usage") -> None:
    for batch in usage.batches:
        recalled = ", recalled" if batch.recalled else ""
        show.tell(f"{usage.table}: {batch.file or ''} {batch.batch_id}, {batch.rows} rows{recalled}")
    uses = [
        (
            use.model,
            use.version,
            {True: "yes", False: "no", None: "unknown"}[use.serves],
            "unknown" if use.rows is None else use.rows,
            use.answers.rows,
            short(use.answers.first_at),
            short(use.answers.last_at),
            use.run_id,
        )
        for use in usage.uses
    ]
    nothing = "No training that ended well has used it." if usage.complete else "It is not known now."
    show.table(USES, uses, nothing=nothing)
