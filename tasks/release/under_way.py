"""Is a release of the model under way? Told by its entries in the ledger alone."""

from collections.abc import Iterable

from pydantic import AwareDatetime, TypeAdapter

from tasks.contracts import Action, LedgerEntry, ReleaseUnderWay

ENDS = ("refused", "rejected", "roll_back", "hold", "shown", "promoted", "closed")
"""What a release ends with: its acceptance or a person said no, a stage did, what `shadow_only` asks for is
shown, the version serves, or somebody else ended it."""
SWITCHES = (Action.DEPLOY, Action.ROLLBACK, Action.WITHDRAW)
TIME: TypeAdapter[AwareDatetime] = TypeAdapter(AwareDatetime)


def under_way(entries: Iterable[LedgerEntry]) -> ReleaseUnderWay | None:
    """The release that has begun and not ended.

    A change of what serves to another version ends it too: its candidate was compared with what served.

    Args:
        entries: Of the model, oldest first.
    """
    found: ReleaseUnderWay | None = None
    for entry in entries:
        if entry.action in SWITCHES:
            found = found if found and _is_its_promotion(entry, found) else None
        elif entry.action == Action.RELEASE:
            found = _after(entry, found)
    return found


def _after(entry: LedgerEntry, found: ReleaseUnderWay | None) -> ReleaseUnderWay | None:
    if entry.after not in ENDS:
        return _told(entry, found)
    # A version that is refused while it is tested may be so beside the release of another one.
    is_another = found is not None and found.release_id != entry.evidence["release_id"]
    return found if is_another else None


def _is_its_promotion(entry: LedgerEntry, found: ReleaseUnderWay) -> bool:
    return entry.action == Action.DEPLOY and entry.after == found.version


def _told(entry: LedgerEntry, before: ReleaseUnderWay | None) -> ReleaseUnderWay:
    evidence = entry.evidence
    known = before is not None and before.release_id == evidence["release_id"]
    return ReleaseUnderWay(
        model=entry.model,
        release_id=evidence["release_id"],
        version=str(evidence["version"]),
        stage=str(evidence["at"]),
        since=before.since if before is not None and known else entry.at,
        share=float(evidence.get("share", 0.0)),
        says=entry.why,
        until=TIME.validate_python(evidence["until"]),
    )
