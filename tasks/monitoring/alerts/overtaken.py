"""Is a release that did not go through over? Told by what the ledger says after it, and by nothing else.

A newer release of the model that goes on or was promoted ends it, and so does a deployment: whoever looks
then has nothing to do about the older one.
"""

from collections.abc import Iterable
from datetime import datetime

from tasks.contracts import Action, LedgerEntry

WITHOUT_SUCCESS = frozenset({"refused", "rejected", "roll_back", "hold", "closed"})
"""What a release ends with where its version does not come to serve."""


def overtaken(history: Iterable[LedgerEntry], since: datetime, run: str = "") -> LedgerEntry | None:
    """The entry by which what did not go through at `since` is over; None while it is not.

    Args:
        history: Of the model, oldest first: its releases, environments and switches at least.
        run: `DAG/run` of what did not go through, whose own entries end nothing.
    """
    told = list(history)
    newest = {each.evidence.get("release_id"): each for each in told if each.action == Action.RELEASE}
    later = [each for each in told if each.at > since and not (run and _of_run(each, run))]
    return next((each for each in later if _went_well(each, newest) and not _undone(each, told)), None)


def _of_run(entry: LedgerEntry, run: str) -> bool:
    return entry.actor.startswith(f"airflow:{run}/")


def _went_well(entry: LedgerEntry, newest: dict[object, LedgerEntry]) -> bool:
    if entry.action == Action.RELEASE:
        return newest[entry.evidence.get("release_id")].after not in WITHOUT_SUCCESS
    return entry.action == Action.DEPLOY or (entry.action, entry.after) == (Action.ENVIRONMENT, "entered")


def _undone(entry: LedgerEntry, told: list[LedgerEntry]) -> bool:
    """Whether a deployment was taken back at once, because what was deployed did not answer."""
    later = (each for each in told if each.sequence > entry.sequence)
    following = next((each for each in later if each.action in {Action.DEPLOY, Action.ROLLBACK}), None)
    taken_back = following is not None and bool(following.evidence.get("undoes"))
    return entry.action == Action.DEPLOY and taken_back
