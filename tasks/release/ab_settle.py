"""Settle a comparison (A/B) that the ledger and the gateway do not agree on: carry it on, or end it."""

from datetime import UTC, datetime

from tasks.contracts import Action, Comparison, LedgerEntry, Mismatch, Settled, StepContext, TrafficSplit
from tasks.ledger import entries
from tasks.release.ab_record import end_comparison
from tasks.release.ab_under_way import split_of_comparison
from tasks.serving.backend import serving_backend
from tasks.serving.gateway import Gateway


def settle_comparison(found: Mismatch, split: TrafficSplit | None, context: StepContext) -> Settled:
    """Whoever started it was killed, or the gateway has lost its record; the caller holds the versions.

    Raises:
        ServingError: The gateway or the backend does not answer.
    """
    if found.entry is None:
        return _close_unknown(found, split, context)
    comparison = Comparison.model_validate(found.entry.evidence["comparison"])
    candidate = comparison.candidate
    if not serving_backend(candidate.backend).ready(
        candidate.model, candidate.backend_version, candidate.archive_sha256
    ):
        why = f"{found.why} Its archive is not loaded any more: the comparison is over."
        end_comparison(Gateway(), comparison, context.actor, why, after="closed")
        return Settled(model=found.model, outcome="undone", why=why)
    why = f"{found.why} It does again."
    entry = _record(found, context, "divide again", why, comparison.comparison_id)
    Gateway().open_split(split_of_comparison(comparison))
    entries.complete(entry, "The gateway divides the requests.")
    return Settled(model=found.model, outcome="carried on", why=why)


def _close_unknown(found: Mismatch, split: TrafficSplit | None, context: StepContext) -> Settled:
    why = f"{found.why} The stable version answers everything again."
    entry = _record(found, context, "close", why, split.release_id if split else None)
    Gateway().close_split(found.model)
    entries.complete(entry, "The stable version answers everything.")
    return Settled(model=found.model, outcome="undone", why=why)


def _record(
    found: Mismatch, context: StepContext, after: str, why: str, comparison_id: str | None
) -> LedgerEntry:
    return entries.record(
        model=found.model,
        actor=context.actor,
        action=Action.RECONCILE,
        before=None,
        after=after,
        why=why,
        evidence={"comparison_id": comparison_id, "seen": found.why, "looked_at": datetime.now(UTC)},
    )
