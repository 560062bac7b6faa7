"""Write down what a person says of a label incident: are the new labels wrong, or is the world another?

Until somebody does, nothing is promoted. Wrong labels are taken back, and the next candidate is trained
without them; where they are not, the gate finds the incident again. Is the world another, then the rows that
the incident was found on count as right, and the anchor and the root begin anew with the next candidate that
is promoted.
"""

from tasks.contracts import (
    Action,
    JoinedBatch,
    LabelIncidentAnswer,
    LabelIncidentRequest,
    LedgerEntry,
    TrainingRun,
)
from tasks.data import batches
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.ledger.incidents import open_incident
from tasks.stores import registry
from tasks.stores.database import engine
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import IS_MARK, IS_RECALL, quote

NEXT = {
    "poison": (
        "Recall the batch (`perennial recall`), take the labels back (docs/operate.md), or land the rows "
        "once more with the right ones: of rows with one key the newest counts. Then start the training "
        "anew. While the rows are there as they are, the gate finds the incident again."
    ),
    "the_world": (
        "Start the training anew: its test rows hold the new ones, and the anchor and the root begin with "
        "the candidate that is promoted."
    ),
}


def label_incident(request: LabelIncidentRequest) -> LabelIncidentAnswer:
    """Answer the model's open incident, once however often the step is tried.

    Raises:
        InvalidRequest: No incident of the model is open.
        RegistryError: The run that the incident was found on is incomplete.
    """
    model, key = request.model, request.context.step_key
    entry = _answered_by(model, key)
    answered = entries.find(str(entry.before)) if entry else None
    incident = answered or _open(model)
    candidate = registry.training_run(incident.evidence["decision"]["run_id"])
    if entry is None:
        entry = _record(request, incident, candidate)
    answer = "poison" if entry.after == "poison" else "the_world"
    return LabelIncidentAnswer(
        model=model,
        answer=answer,
        incident=incident.sequence,
        batches=_joined_since(incident, candidate),
        next_step=NEXT[answer],
        ledger_hash=entry.entry_hash,
    )


def suspects(model: str) -> tuple[LedgerEntry, tuple[JoinedBatch, ...]]:
    """The model's open incident, and the batches that may have led to it, newest first.

    Raises:
        InvalidRequest: No incident of the model is open.
        RegistryError: The run that the incident was found on is incomplete.
    """
    incident = _open(model)
    return incident, _joined_since(incident, registry.training_run(incident.evidence["decision"]["run_id"]))


def _open(model: str) -> LedgerEntry:
    with engine().connect() as connection:
        incident = open_incident(connection, model)
    if incident is None:
        raise InvalidRequest(
            f"No label incident of {model!r} is open: the gate found none since the last answer or "
            "promotion. Nothing is to be answered."
        )
    return incident


def _answered_by(model: str, step_key: str) -> LedgerEntry | None:
    """The answer that an earlier try of the step wrote."""
    with engine().connect() as connection:
        answers = entries.newest_first(connection, model, Action.LABEL_INCIDENT)
        return next((entry for entry in answers if entry.evidence["step_key"] == step_key), None)


def _record(request: LabelIncidentRequest, incident: LedgerEntry, candidate: TrainingRun) -> LedgerEntry:
    return entries.record(
        model=request.model,
        actor=request.context.actor,
        action=Action.LABEL_INCIDENT,
        before=incident.entry_hash,
        after=request.answer,
        why=request.reason,
        evidence={
            "incident": incident.sequence,
            "candidate_run_id": candidate.run_id,
            "test": candidate.snapshot.test,
            "step_key": request.context.step_key,
        },
    )


def _joined_since(incident: LedgerEntry, candidate: TrainingRun) -> tuple[JoinedBatch, ...]:
    """The batches that joined the candidate's table after the champion's snapshot, newest first, without
    those that the model leaves out of its trainings.
    """
    table, lake = candidate.snapshot.table, Lake()
    if not lake.exists(table):
        return ()
    seen = (pin for pin in incident.evidence["evaluation"]["champion_tables"] if pin["table"] == table)
    after = next((f"AND ingested_at > TIMESTAMPTZ '{pin['version_at']}' " for pin in seen), "")
    where = f"NOT {IS_MARK} AND NOT {IS_RECALL} {after}"
    counting = (
        "SELECT batch_id, count(*) AS rows, max(ingested_at) AS joined_at "  # noqa: S608 - a name and a time
        f"FROM {quote(table)} WHERE {where} "
        "GROUP BY batch_id ORDER BY joined_at DESC, batch_id"
    )
    left_out = batches.left_out(lake, candidate.model, table)
    files = {commit.batch_id: commit.file for commit in lake.commits(table)}
    return tuple(
        JoinedBatch(**row, file=files.get(row["batch_id"]))
        for row in lake.query(counting, [table]).to_pylist()
        if row["batch_id"] not in left_out
    )
