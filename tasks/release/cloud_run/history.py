"""What a model's service on Cloud Run had, in order: told by the ledger alone."""

from collections.abc import Iterable

from tasks.contracts import Action, LedgerEntry

PLANNED, SERVES, LEFT = "revision", "serves", "left"
"""`left`: the revision was not good enough, and the traffic stays where it is."""


def served(entries: Iterable[LedgerEntry], service: str) -> list[LedgerEntry]:
    """The decisions by which revisions of a service came to answer, those that count for a way back, the
    present one last: what was left by going back does not.

    Args:
        entries: Of the model, oldest first: those of Cloud Run, and what completes them.
    """
    told = list(entries)
    done = {each.evidence.get("completes") for each in told if each.action == Action.DONE}
    held: list[LedgerEntry] = []
    for entry in told:
        if _is(entry, service, SERVES) and entry.entry_hash in done:
            names = [_revision(each) for each in held]
            there = _revision(entry) in names
            held = [*(held[: names.index(_revision(entry))] if there else held), entry]
    return held


def newest(entries: Iterable[LedgerEntry], service: str) -> LedgerEntry | None:
    """The newest decision of where a service's traffic goes, done or not."""
    found = [each for each in entries if _is(each, service, SERVES) or _is(each, service, LEFT)]
    return found[-1] if found else None


def tries(entries: Iterable[LedgerEntry], service: str, base: str) -> int:
    """How many revisions of a name were left before."""
    left = (each for each in entries if _is(each, service, LEFT))
    return sum(each.evidence["plan"]["base"] == base for each in left)


def _is(entry: LedgerEntry, service: str, after: str) -> bool:
    is_about = entry.action == Action.CLOUD_RUN and entry.after == after
    return is_about and entry.evidence["plan"]["service"] == service


def _revision(entry: LedgerEntry) -> str:
    return str(entry.evidence["plan"]["revision"])
