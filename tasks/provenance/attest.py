"""Keep a reproduction in the ledger.

A verb of its own: the one that trains runs a model's own code, and no step that does so reaches the ledger.
"""

from tasks.contracts import Action, AttestRequest, Reproduction
from tasks.ledger import entries


def attest(request: AttestRequest) -> Reproduction:
    """Record what came of it, and return it with its entry.

    Raises:
        LedgerBroken: The ledger's end was altered.
    """
    found = request.reproduction
    entry = entries.record(
        model=found.model,
        actor=request.context.actor,
        action=Action.REPRODUCE,
        before=found.run_id,
        after=found.verdict,
        why=f"Version {found.version}, trained again as run {found.reproduced_as}, is {found.why}",
        evidence=found,
    )
    return found.model_copy(update={"ledger_hash": entry.entry_hash})
