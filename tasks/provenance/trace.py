"""Where one answer, or one version, came from: the run, its code, its rows."""

from tasks.contracts import Answer, Archive, LedgerEntry, Lineage, TrainingRows, TrainingRun
from tasks.ledger import entries
from tasks.provenance import mlflow_runs, training_rows
from tasks.provenance.entries_about import judgement
from tasks.provenance.notes import Notes
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.lake import Lake


def trace(model: str, run_id: str, *, answer: Answer | None = None, number: str | None = None) -> Lineage:
    """Everything that a run's version, or one of its answers, came from.

    What is missing, because it was deleted or a service does not answer, is in the notes.

    Args:
        number: The version that was asked about; None for the one that was registered for the run.
    """
    notes = Notes()
    record = notes.unless_missing("MLflow's run", lambda: mlflow_runs.record_of(run_id))
    run = notes.unless_missing("What it was trained from", lambda: registry.training_run(run_id))
    version = notes.unless_missing("Its version", lambda: mlflow_runs.version_of(model, run_id, number))
    rows = None if run is None else _rows(run, notes)
    return Lineage(
        model=model,
        run_id=run_id,
        answer=answer,
        version=version,
        archive=version.archive if version else _judged_archive(entries.history(model), run_id),
        status=record.status if record else None,
        started_at=record.started_at if record else None,
        reason=record.tags.get("perennial.reason_to_train") if record else None,
        started_by=record.tags.get("perennial.started_by") if record else None,
        dag_run=record.dag_run if record else None,
        run_url=record.url if record else None,
        run=run,
        training_rows=rows,
        notes=tuple(notes),
    )


def spec_of(model: str) -> PipelineSpec:
    """A model's specification as the project has it now.

    Raises:
        InvalidProject: Its pipeline.yaml is missing or wrong.
    """
    return PipelineSpec.load(settings().models / model / "pipeline.yaml")


def _rows(run: TrainingRun, notes: Notes) -> TrainingRows:
    snapshot = run.snapshot
    found = notes.unless_missing(
        "The batches of its rows",
        lambda: training_rows.batches_of(Lake(), snapshot, spec_of(run.model)),
    )
    return TrainingRows(rows=snapshot.rows, query=training_rows.rows_query(snapshot), batches=found or ())


def _judged_archive(history: list[LedgerEntry], run_id: str) -> Archive | None:
    entry = judgement(history, run_id, None)
    judged = entry.evidence.get("archive") if entry else None
    return Archive.model_validate(judged) if judged else None
