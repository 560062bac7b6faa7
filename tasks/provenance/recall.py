"""Recall a batch: leave it out of every later training, and ask for trainings without it.

In this order: the ledger, the mark in the table, the requests for trainings. Killed anywhere, the same step
run again does what is left to do.
"""

from tasks.contracts import Action, Recall, RecallRequest, RetrainRequest, RetrainTicket, Usage
from tasks.data.recalled import leave_out
from tasks.errors import InvalidProject, InvalidRequest, NotFound, ServiceAway
from tasks.ledger import entries
from tasks.monitoring.retrain import retrain
from tasks.provenance.looks import tables
from tasks.provenance.trace import spec_of
from tasks.provenance.usage import usage_of_batch
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import MARKS, RECALLS


def recall(request: RecallRequest) -> Recall:
    """Leave the batch out, and name every version and how many answers have used it.

    What serves goes on serving: a training without the batch is asked for of each model whose serving version
    used it, by the same rules as the drift check's, and its candidate is judged like any other.

    Raises:
        NotFound: No table has the batch, or several have and none was named.
        InvalidRequest: It is a mark that takes rows back.
        LedgerBroken: Nothing can be recorded.
        ServiceAway: The batch is left out, but MLflow or the gateway does not answer: try again.
    """
    lake = Lake()
    table = _table_of(lake, request)
    usage = usage_of_batch(table, request.batch_id)
    (batch,) = usage.batches
    entry = entries.record(
        model=table,
        actor=request.context.actor,
        action=Action.RECALL,
        before=request.batch_id,
        after="left out",
        why=request.reason,
        evidence={"table": table, "batch_id": batch.batch_id, "file": batch.file, "rows": batch.rows},
    )
    version = leave_out(lake, table, request.batch_id, request.reason)
    entries.complete(entry, f"From version {version} of {table} on, no snapshot sees the batch.")
    return Recall(
        usage=usage.model_copy(update={"batches": (batch.model_copy(update={"recalled": True}),)}),
        table_version=version,
        ledger_hash=entry.entry_hash,
        tickets=tuple(_ask(request, table, model) for model in _serving_models(usage)),
    )


def _table_of(lake: Lake, request: RecallRequest) -> str:
    if request.batch_id.startswith((RECALLS, MARKS)):
        raise InvalidRequest(
            f"{request.batch_id!r} is a mark that takes rows back, and marks stay: recalling one changes "
            "nothing. Name the batch of a file that landed."
        )
    names = [request.table] if request.table else tables(lake)
    found = [name for name in names if lake.app_version(name, request.batch_id) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(
            f"The batch {request.batch_id!r} is in the tables {', '.join(found)}. Name one of them."
        )
    raise NotFound(
        f"No batch {request.batch_id!r} is in {', '.join(names) or 'the lake, which has no table'}. Give the "
        "whole id: `perennial why FILE` says it, for the name of the file that landed."
    )


def _serving_models(usage: Usage) -> list[str]:
    """The models whose serving version used the batch.

    Raises:
        ServiceAway: MLflow or the gateway does not answer, so that this is not known.
    """
    if not usage.complete:
        raise ServiceAway(
            "The batch is left out from now on, but nobody can say now which versions that used it serve. "
            f"Recall it again. {' '.join(usage.notes)}"
        )
    return sorted({use.model for use in usage.uses if use.serves})


def _ask(request: RecallRequest, table: str, model: str) -> RetrainTicket:
    context = request.context.model_copy(update={"step_key": f"{request.context.step_key}/{model}"})
    reason = f"Without the batch {request.batch_id} of {table}, which was recalled: {request.reason}"
    try:
        spec = spec_of(model)
    except InvalidProject as error:  # the model was removed and still serves, or its file is wrong now
        return RetrainTicket(model=model, granted=False, train_run_id=None, reason=str(error))
    return retrain(RetrainRequest(context=context, spec=spec, reason=reason))
