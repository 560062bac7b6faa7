"""See that a Cloud Run service does what was decided, and write that down."""

from tasks.contracts import CloseCloudRunRequest, OnCloudRun
from tasks.errors import CheckFailed, LedgerBroken, ServingError
from tasks.ledger import entries


def close_cloud_run(request: CloseCloudRunRequest) -> OnCloudRun:
    """Complete the decision by which a revision answers everything.

    Raises:
        CheckFailed: The revision was not good enough, so that the traffic stays where it was.
        ServingError: The service does not do what was decided.
        LedgerBroken: The decision is not in the ledger any more.
    """
    decision = request.decision
    plan, entry = decision.plan, entries.find(decision.ledger_hash)
    if entry is None:
        raise LedgerBroken(f"The ledger's entry {decision.ledger_hash} is gone: perennial ledger --verify.")
    now = ", ".join(f"{name}: {share} %" for name, share in sorted(request.serving.items())) or "nothing"
    if decision.verdict == "stay":
        entries.complete(entry, f"What served goes on serving: {now}.")
        raise CheckFailed(f"{decision.why} What served on {plan.service} goes on serving: {now}.")
    if request.serving.get(plan.revision) != 100:
        raise ServingError(f"{plan.service} was to send everything to {plan.revision}, but has {now}.")
    entries.complete(entry, f"The revision {plan.revision} answers everything.")
    return OnCloudRun(
        model=plan.model,
        model_version=plan.model_version,
        service=plan.service,
        revision=plan.revision,
        why=decision.why,
        ledger_hash=entry.entry_hash,
    )
