"""Write down what was said of new batches: the ledger first, then their state, which snapshots go by."""

from tasks.contracts import Action, BatchVerdict, LedgerEntry, Quarantine, QuarantineRequest
from tasks.data import batches
from tasks.ledger import entries
from tasks.stores.lake import Lake


def quarantine(request: QuarantineRequest) -> Quarantine:
    """Record each verdict of a check. Killed anywhere, the same step run again does what is left to do.

    Raises:
        LedgerBroken: Nothing can be recorded.
    """
    check, lake = request.check, Lake()
    known = batches.states(lake, check.model, check.table)
    # A person may have decided between two tries of this step.
    judged = [
        verdict for verdict in check.verdicts if known.get(verdict.findings.batch_id) in {None, verdict.state}
    ]
    written = {verdict.findings.batch_id: _record(request, verdict) for verdict in judged}
    batches.write(lake, check.model, check.table, written)
    bad = [verdict.findings.batch_id for verdict in check.verdicts if verdict.state == "quarantined"]
    return Quarantine(
        model=check.model, new=tuple(bad), left_out=batches.left_out(lake, check.model, check.table)
    )


def _record(request: QuarantineRequest, verdict: BatchVerdict) -> LedgerEntry:
    check = request.check
    return entries.record(
        model=check.model,
        actor=request.context.actor,
        action=Action.BATCH,
        before=verdict.findings.batch_id,
        after=verdict.state,
        why=verdict.why,
        evidence={"verdict": verdict, "rules": request.spec.data.label_check, "tables": check.tables},
    )
