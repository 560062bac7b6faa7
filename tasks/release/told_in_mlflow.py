"""What MLflow's page of a version says of its release: a pure function of the ledger, that is newest of it.

The gate's own words stay beside it: a version that was promoted and then went back is both.
"""

from collections.abc import Iterable

from tasks.contracts import Action, LedgerEntry

TAG = "perennial.release"
ENDED = {
    "refused": "Refused before it met a user",
    "rejected": "Rejected by a person",
    "roll_back": "Went back by itself",
    "hold": "Held: not promoted",
    "shown": "Shown to copies alone",
    "closed": "Ended by somebody",
    "promoted": "Released",
}
"""What is said of the end of a release by stages; while it goes on, nothing is."""


def release_tags(history: Iterable[LedgerEntry]) -> dict[str, str]:
    """What is to be said of each version, by its number.

    Args:
        history: Of the model, oldest first: its releases and switches.
    """
    told: dict[str, str] = {}
    for entry in history:
        if entry.action == Action.RELEASE and (said := ENDED.get(str(entry.after))):
            told[str(entry.evidence.get("version"))] = _told(said, entry)
        elif entry.action == Action.DEPLOY and entry.after:
            told[entry.after] = _told("Serves, or served", entry)
        elif entry.action == Action.ROLLBACK:
            if entry.before:
                told[entry.before] = _told("Rolled back: it serves no more", entry)
            if entry.after:
                told[entry.after] = _told("Serves again, or served", entry)
    return told


def _told(said: str, entry: LedgerEntry) -> str:
    return f"{said}, {entry.at:%Y-%m-%d %H:%M} UTC (entry {entry.sequence} of the ledger): {entry.why}"[:5000]
