"""A person's word on a batch: release it from quarantine, or confirm that it is never trained on."""

from tasks.contracts import Action, BatchDecision, BatchState, DecideBatchRequest
from tasks.data import batches
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake

AFTER: dict[str, BatchState] = {"release": "released", "confirm": "confirmed"}


def decide_batch(request: DecideBatchRequest) -> BatchDecision:
    """Record the decision; the next snapshot goes by it.

    A batch that passed can be confirmed as bad too. What was decided can be decided otherwise later.

    Raises:
        InvalidRequest: There is no such model, or no such batch of it was judged, or it is trained on anyway.
        LedgerBroken: Nothing can be recorded.
    """
    lake, after = Lake(), AFTER[request.decision]
    table = _table_of(request.model)
    known = batches.states(lake, request.model, table)
    before = _state(request, known)
    if before == after:
        written = [entry for entry in entries.history(request.model) if entry.action == Action.BATCH]
        last = [entry for entry in written if entry.before == request.batch_id][-1]
        return _decision(request, before, after, last.entry_hash)
    entry = entries.record(
        model=request.model,
        actor=request.context.actor,
        action=Action.BATCH,
        before=request.batch_id,
        after=after,
        why=request.reason,
        evidence={"table": table, "was": before, "step_key": request.context.step_key},
    )
    batches.write(lake, request.model, table, {request.batch_id: entry})
    return _decision(request, before, after, entry.entry_hash)


def _decision(
    request: DecideBatchRequest, before: BatchState, after: BatchState, ledger_hash: str
) -> BatchDecision:
    return BatchDecision(
        model=request.model,
        batch_id=request.batch_id,
        before=before,
        after=after,
        ledger_hash=ledger_hash,
    )


def _table_of(model: str) -> str:
    file = settings().models / model / "pipeline.yaml"
    if not file.exists():
        raise InvalidRequest(f"There is no model {model!r}: {file} is missing. Correct the name.")
    return PipelineSpec.load(file).data.table


def _state(request: DecideBatchRequest, known: dict[str, BatchState]) -> BatchState:
    bad = [batch_id for batch_id, state in known.items() if state in batches.LEFT_OUT]
    named = f"Quarantined are: {', '.join(bad)}." if bad else "No batch is quarantined."
    before = known.get(request.batch_id)
    if before is None:
        raise InvalidRequest(
            f"No batch {request.batch_id!r} of {request.model!r} has been judged. {named}", quarantined=bad
        )
    if request.decision == "release" and before not in {*batches.LEFT_OUT, "released"}:
        raise InvalidRequest(
            f"The batch {request.batch_id!r} of {request.model!r} is {before}, so it is trained on already. "
            f"{named}",
            quarantined=bad,
        )
    return before
