"""Is a comparison of two versions (A/B) under way? Told by the ledger's entries alone."""

from collections.abc import Iterable

from tasks.contracts import Action, Comparison, LedgerEntry, Route, TrafficSplit
from tasks.release.under_way import SWITCHES

AB_ENDS = ("stopped", "closed")
"""A person stopped it, or what it needs was gone."""


def comparison_under_way(entries: Iterable[LedgerEntry]) -> Comparison | None:
    """The comparison that was started and not ended; a change of what serves ends it, too.

    Args:
        entries: Of the model, oldest first.
    """
    entry = start_under_way(entries)
    return Comparison.model_validate(entry.evidence["comparison"]) if entry else None


def start_under_way(entries: Iterable[LedgerEntry]) -> LedgerEntry | None:
    """The entry that started it."""
    found: LedgerEntry | None = None
    for entry in entries:
        if entry.action in SWITCHES or (entry.action == Action.AB and entry.after in AB_ENDS):
            found = None
        elif entry.action == Action.AB and entry.after == "started":
            found = entry
    return found


def split_of_comparison(comparison: Comparison) -> TrafficSplit:
    """What the gateway is told: each request is drawn by itself, so that the answers are independent."""
    return TrafficSplit(
        release_id=comparison.comparison_id,
        kind="ab",
        candidate=comparison.candidate,
        share=comparison.share,
    )


def why_not_divided(
    comparison: Comparison | None, split: TrafficSplit | None, route: Route | None
) -> str | None:
    """What is wrong with how the gateway divides the requests, in a sentence; None where nothing is.

    A split of a release is not looked at here.
    """
    if comparison is None:
        if split is None or split.kind != "ab":
            return None
        version = split.candidate.model_version
        return f"Version {version} is sent a part of the requests, but no comparison with it is under way."
    if route is None or route.archive_sha256 != comparison.stable.archive_sha256:
        return None
    if split == split_of_comparison(comparison):
        return None
    version = comparison.candidate.model_version
    return (
        f"Version {version} is compared with what serves (A/B), but the gateway does not divide the requests."
    )
