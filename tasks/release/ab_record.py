"""The ledger's entries of comparisons (A/B): one is written before each effect, with what it rests on."""

from typing import Any

from tasks.contracts import Action, Comparison, LedgerEntry, Route
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.release.ab_under_way import comparison_under_way
from tasks.release.under_way import SWITCHES
from tasks.serving.gateway import Gateway


def record_ab(comparison: Comparison, actor: str, after: str, why: str, **evidence: Any) -> LedgerEntry:
    """Write what was decided of a comparison.

    Args:
        after: `started`, `reported`, `stopped` by a person, or `closed`, because it could not go on.
    """
    return entries.record(
        model=comparison.model,
        actor=actor,
        action=Action.AB,
        before=comparison.stable.model_version,
        after=after,
        why=why,
        evidence={
            "comparison_id": comparison.comparison_id,
            "decided": after,  # the ledger takes entries of one actor on the same evidence for the same
            "version": comparison.candidate.model_version,
            "comparison": comparison.model_dump(mode="json"),
            **evidence,
        },
    )


def comparison_of(model: str) -> Comparison | None:
    """The model's comparison that is under way."""
    return comparison_under_way(entries.history(model, {Action.AB, *SWITCHES}))


def compared_route(model: str) -> Route | None:
    """The version that is compared with what serves, which has to stay loaded."""
    found = comparison_of(model)
    return found.candidate if found else None


def require_no_comparison(model: str) -> None:
    """Refuse what cannot go on beside a comparison.

    Raises:
        InvalidRequest: One is under way.
    """
    found = comparison_of(model)
    if found is not None:
        raise InvalidRequest(
            f"Version {found.candidate.model_version} of {model} is compared with version "
            f"{found.stable.model_version} (A/B, since {found.opened_at:%Y-%m-%d %H:%M} UTC), and nothing "
            f'else divides the requests meanwhile. End it first: perennial ab stop {model} --why "...".',
            comparison_id=found.comparison_id,
        )


def end_comparison(
    gateway: Gateway, comparison: Comparison, actor: str, why: str, *, after: str = "stopped", **more: Any
) -> LedgerEntry:
    """Write down that it is over, and let what serves answer everything again. The caller holds the model's
    versions.

    Raises:
        ServingError: The gateway does not answer.
    """
    entry = record_ab(comparison, actor, after, why, **more)
    gateway.close_split(comparison.model)
    entries.complete(entry, "The stable version answers everything.")
    return entry
