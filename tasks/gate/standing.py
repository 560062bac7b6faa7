"""What the ledger says beside an evaluation: the champion's root and anchor, what a person said of the labels
since it was promoted, and who asked for the training.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from tasks.contracts import Action, Circumstances, EvaluationReport, LedgerEntry, SnapshotPart
from tasks.ledger import entries
from tasks.ledger.incidents import open_incident

ALARMS = frozenset({"wait", "suggest", "ask", "retrain", "stopped"})
"""What the drift check says where it is sure, whatever follows."""


@dataclass(frozen=True)
class Standing:
    """Of a champion.

    Attributes:
        root_run_id: The run of the last version that was shown to be better.
        anchor: The rows that were frozen; None of a champion that an earlier Perennial promoted, whose anchor
            are its own test rows.
        anchor_sha256: Of the anchor in either case; None where no entry promoted the champion.
        world: The test part whose rows a person called right since its promotion: the anchor begins anew.
    """

    root_run_id: str
    anchor: SnapshotPart | None = None
    anchor_sha256: str | None = None
    world: SnapshotPart | None = None


def standing(connection: sa.Connection, model: str, run_id: str) -> Standing:
    """Of the champion that came from this run."""
    promotion = _promotion(connection, model, run_id)
    world = _world(connection, model, promotion.sequence if promotion else 0)
    if promotion is None:
        return Standing(run_id, world=world)
    decided = promotion.evidence["decision"]
    kept = decided.get("anchor")
    anchor = None if kept is None else SnapshotPart.model_validate(kept)
    return Standing(
        root_run_id=run_id if world else decided.get("root_run_id") or run_id,
        anchor=anchor,
        anchor_sha256=anchor.sha256 if anchor else promotion.evidence["evaluation"]["frozen_sha256"],
        world=world,
    )


def circumstances(connection: sa.Connection, evaluation: EvaluationReport, run_key: str) -> Circumstances:
    """What the ledger says beside an evaluation in the Airflow run `run_key`.

    An incident that was found on this candidate is measured again, so that the gate says the same twice; but
    a drift that was found since does not answer it.
    """
    model, champion = evaluation.model, evaluation.champion
    drifted = _drifted(connection, model, champion.run_id) if champion else None
    found = open_incident(connection, model)
    is_own = (
        found is not None
        and found.evidence["decision"]["run_id"] == evaluation.candidate.run_id
        and found.evidence.get("circumstances", {}).get("drifted") == drifted
    )
    return Circumstances(
        drift=_granted_for_drift(connection, model, run_key.rpartition("/")[2]),
        drifted=drifted,
        incident=found.sequence if found and not is_own else None,
    )


def _promotion(connection: sa.Connection, model: str, run_id: str) -> LedgerEntry | None:
    found: Iterator[LedgerEntry] = (
        entry
        for entry in entries.newest_first(connection, model, Action.GATE)
        if (entry.evidence["decision"]["run_id"], entry.after) == (run_id, "promote")
    )
    return next(found, None)


def _world(connection: sa.Connection, model: str, since: int) -> SnapshotPart | None:
    for entry in entries.newest_first(connection, model, Action.LABEL_INCIDENT):
        if entry.sequence < since:
            return None
        if entry.after == "the_world":
            return SnapshotPart.model_validate(entry.evidence["test"])
    return None


def _granted_for_drift(connection: sa.Connection, model: str, run_id: str) -> str | None:
    for entry in entries.newest_first(connection, model, Action.RETRAIN):
        if (entry.evidence.get("train_run_id"), entry.after) == (run_id, "granted"):
            return entry.entry_hash if entry.evidence.get("drift_decision") else None
    return None


def _drifted(connection: sa.Connection, model: str, champion: str | None) -> str | None:
    for entry in entries.newest_first(connection, model, Action.DRIFT):
        if entry.before == champion and entry.after in ALARMS and _is_of_inputs(entry):
            return entry.entry_hash
    return None


def _is_of_inputs(drift: LedgerEntry) -> bool:
    """Whether the inputs have changed, by an entry of the drift check; an earlier Perennial looked at nothing
    else. Labels that have changed say nothing of the inputs, and would excuse themselves.
    """
    signals = drift.evidence.get("decision", {}).get("signals")
    return not signals or any((each["question"], each["level"]) == ("input", "alarm") for each in signals)
