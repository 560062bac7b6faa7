"""Recall batches: leave them out of every later training, and ask for trainings without them.

In this order: every batch is looked for; for each the ledger, then the mark in the table; the requests for
trainings, one a model. Killed anywhere, the same step run again does what is left to do.
"""

from collections.abc import Iterable, Sequence

from tasks.contracts import (
    Action,
    Recall,
    RecalledBatch,
    RecallRequest,
    RetrainRequest,
    RetrainTicket,
    Usage,
)
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
    """Leave the batches out, and name every version and how many answers have used each.

    What serves goes on serving: a training without the batches is asked for of each model whose serving
    version used any of them, by the same rules as the drift check's, and its candidate is judged like any
    other.

    Raises:
        NotFound: No table has one of the batches, or several have and none was named; none is recalled.
        InvalidRequest: One is a mark that takes rows back; none is recalled.
        LedgerBroken: Nothing can be recorded.
        ServiceAway: The batches are left out, but MLflow or the gateway does not answer: try again.
    """
    lake = Lake()
    tables_of = {batch_id: _table_of(lake, request, batch_id) for batch_id in request.batch_ids}
    usages = [usage_of_batch(table, batch_id) for batch_id, table in tables_of.items()]
    recalled = tuple(_leave_out(lake, request, usage) for usage in usages)
    return Recall(
        batches=recalled,
        tickets=tuple(_ask(request, usages, model) for model in _serving_models(usages)),
    )


def _leave_out(lake: Lake, request: RecallRequest, usage: Usage) -> RecalledBatch:
    table, (batch,) = usage.table, usage.batches
    entry = entries.record(
        model=table,
        actor=request.context.actor,
        action=Action.RECALL,
        before=batch.batch_id,
        after="left out",
        why=request.reason,
        evidence={"table": table, "batch_id": batch.batch_id, "file": batch.file, "rows": batch.rows},
    )
    version = leave_out(lake, table, batch.batch_id, request.reason)
    entries.complete(entry, f"From version {version} of {table} on, no snapshot sees the batch.")
    return RecalledBatch(
        usage=usage.model_copy(update={"batches": (batch.model_copy(update={"recalled": True}),)}),
        table_version=version,
        ledger_hash=entry.entry_hash,
    )


def _table_of(lake: Lake, request: RecallRequest, batch_id: str) -> str:
    if batch_id.startswith((RECALLS, MARKS)):
        raise InvalidRequest(
            f"{batch_id!r} is a mark that takes rows back, and marks stay: recalling one changes "
            "nothing. Name the batch of a file that landed."
        )
    names = [request.table] if request.table else tables(lake)
    found = [name for name in names if lake.app_version(name, batch_id) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"The batch {batch_id!r} is in the tables {', '.join(found)}. Name one of them.")
    raise NotFound(
        f"No batch {batch_id!r} is in {', '.join(names) or 'the lake, which has no table'}. Give the "
        "whole id: `perennial why FILE` says it, for the name of the file that landed."
    )


def _serving_models(usages: Iterable[Usage]) -> list[str]:
    """The models whose serving version used any of the batches.

    Raises:
        ServiceAway: MLflow or the gateway does not answer, so that this is not known.
    """
    models: set[str] = set()
    for usage in usages:
        if not usage.complete:
            raise ServiceAway(
                "What was recalled is left out from now on, but nobody can say now which versions that used "
                f"it serve. Recall it again. {' '.join(usage.notes)}"
            )
        models |= {use.model for use in usage.uses if use.serves}
    return sorted(models)


def _ask(request: RecallRequest, usages: Sequence[Usage], model: str) -> RetrainTicket:
    context = request.context.model_copy(update={"step_key": f"{request.context.step_key}/{model}"})
    names = [
        f"{usage.batches[0].batch_id} of {usage.table}"
        for usage in usages
        if any(use.serves and use.model == model for use in usage.uses)
    ]
    told = (
        f"the batch {names[0]}, which was"
        if len(names) == 1
        else f"the batches {', '.join(names)}, which were"
    )
    reason = f"Without {told} recalled: {request.reason}"
    try:
        spec = spec_of(model)
    except InvalidProject as error:  # the model was removed and still serves, or its file is wrong now
        return RetrainTicket(model=model, granted=False, train_run_id=None, reason=str(error))
    return retrain(RetrainRequest(context=context, spec=spec, reason=reason))
