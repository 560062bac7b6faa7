"""Is a label incident open? Asked by the gate and by whoever grants or begins a training."""

from collections.abc import Iterable

import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries


def open_incident(connection: sa.Connection, model: str) -> LedgerEntry | None:
    """The newest entry in which the gate found a label incident that nobody has answered since."""
    return unanswered(
        entries.newest_first(connection, model, Action.LABEL_INCIDENT),
        entries.newest_first(connection, model, Action.GATE),
    )


def unanswered(answers: Iterable[LedgerEntry], judged: Iterable[LedgerEntry]) -> LedgerEntry | None:
    """The same, of a model's entries in which it was answered and in which candidates were judged, newest
    first.
    """
    answered = next(iter(answers), None)
    for entry in judged:
        if answered is not None and entry.sequence < answered.sequence:
            return None
        if _found(entry):
            return entry
        if entry.after == "promote":  # while one is open, nothing is promoted
            return None
    return None


def why_nothing_is_trained(incident: LedgerEntry) -> str:
    """Why no training starts by itself while the incident is open, and what ends it."""
    return (
        f"The label incident of the ledger's entry {incident.sequence} is not answered: until a person says "
        "whether the new labels are wrong or the world is another, nothing is promoted, so nothing is "
        "trained. The DAG label_incident_model takes the answer."
    )


def _found(entry: LedgerEntry) -> bool:
    """Whether it was measured in this very evaluation, and is not only still open."""
    rules = entry.evidence["decision"]["rules"]
    return any(
        rule["rule"] == Action.LABEL_INCIDENT and not rule["passed"] and rule["value"] is not None
        for rule in rules
    )
