"""Testers, and nobody else, reach the candidate of a release while a person is asked whether it goes on."""

from tasks.contracts import Acceptance, LedgerEntry, Route, TrafficSplit
from tasks.ledger import entries
from tasks.release.record import of_release, release_of
from tasks.release.stages import asks_before
from tasks.release.switch import same_archive
from tasks.serving.gateway import Gateway
from tasks.spec import PRODUCTION, ReleaseSpec


def let_testers_in(gateway: Gateway, entry: LedgerEntry) -> bool:
    """Let the candidate answer the requests that name its version (`X-Perennial-Version`), and no others,
    until what follows; the caller holds the model's versions.

    Args:
        entry: Of the release, after which a person is asked.

    Returns:
        Whether it does: not where something has followed the entry already, or the release is over.

    Raises:
        ServingError: The gateway does not answer.
    """
    release_id, released = str(entry.evidence["release_id"]), release_of(entry.model)
    newest = of_release(entry.model, release_id)[-1]
    if newest.entry_hash != entry.entry_hash or released is None or released.release_id != release_id:
        return False
    candidate = Route.model_validate(entry.evidence["candidate"])
    split = TrafficSplit(release_id=release_id, kind="canary", candidate=candidate)
    if gateway.split(entry.model) != split:
        gateway.open_split(split)
    return True


def let_testers_in_after(gateway: Gateway, accepted: Acceptance, rules: ReleaseSpec) -> None:
    """The same of what was accepted, where a person is asked next; what answers everybody is no candidate."""
    stable, following = accepted.stable, accepted.plan[0] if accepted.plan else PRODUCTION
    if stable is None or same_archive(stable, accepted.candidate) or not asks_before(rules, following):
        return
    if entry := entries.find(accepted.ledger_hash):
        let_testers_in(gateway, entry)
