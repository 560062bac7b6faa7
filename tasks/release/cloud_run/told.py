"""What the ledger has of a model on Cloud Run."""

from tasks.contracts import Action, CloudRunPlan, LedgerEntry
from tasks.ledger import entries


def told_of(model: str) -> list[LedgerEntry]:
    """What the ledger has of a model on Cloud Run, oldest first."""
    return entries.history(model, {Action.CLOUD_RUN, Action.DONE})


def plan_in(entry: LedgerEntry) -> CloudRunPlan:
    """The plan that an entry of the ledger holds or rests on."""
    return CloudRunPlan.model_validate({**entry.evidence["plan"], "ledger_hash": entry.entry_hash})
