"""Does the ledger promise this? Asked by register, deploy, rollback and retrain before they act."""

from typing import Any

from pydantic import ValidationError

from tasks.contracts import Action, Archive, DriftDecision, GateDecision, LedgerEntry, ModelVersion
from tasks.errors import GateRefused, InvalidRequest
from tasks.ledger import entries

SWITCHES = (Action.DEPLOY, Action.ROLLBACK)


def promotion_of_candidate(decision: GateDecision, archive: Archive) -> LedgerEntry:
    """The entry in which the gate promoted this archive by this decision.

    Raises:
        GateRefused: There is none.
    """
    if decision.verdict != "promote":
        raise GateRefused(
            f"The gate said {decision.verdict!r} of run {decision.run_id}: {decision.why}",
            verdict=decision.verdict,
        )
    entry = entries.find(decision.ledger_hash) if decision.ledger_hash else None
    if entry is None or not _is_promotion(entry) or entry.model != decision.model:
        raise GateRefused(
            f"The decision on run {decision.run_id} of {decision.model!r} ({decision.ledger_hash}) is not a "
            "promotion in the ledger. Let the gate judge the candidate.",
            ledger_hash=decision.ledger_hash,
        )
    if _decision_in(entry) != decision.model_copy(update={"ledger_hash": None}):
        raise GateRefused(
            f"The decision on run {decision.run_id} differs from what the ledger holds as entry "
            f"{entry.sequence}. Let the gate judge the candidate again."
        )
    if archive.sha256 != decision.archive_sha256:
        raise GateRefused(
            f"The gate promoted the archive {decision.archive_sha256}, not {archive.sha256}. Let the gate "
            "judge this one."
        )
    return entry


def promotion_of_version(version: ModelVersion) -> LedgerEntry:
    """The entry in which the gate promoted this version's archive.

    Raises:
        GateRefused: The version names no entry of the ledger in which the gate promoted this very archive.
    """
    entry = entries.find(version.decision_ledger_hash)
    if entry is None:
        fault = "the ledger has no such entry"
    elif not _is_promotion(entry):
        fault = f"that entry says {entry.action} {entry.after or ''}".strip()
    elif not _is_about(entry, version):
        fault = "that entry is about another archive"
    else:
        return entry
    raise GateRefused(
        f"{version.model} version {version.version} is not served: it says that the ledger's entry "
        f"{version.decision_ledger_hash[:12]}… promoted it, but {fault}. Only the train DAG's gate promotes "
        "a version.",
        run_id=version.run_id,
        archive_sha256=version.archive.sha256,
    )


def require_same_champion(promotion: LedgerEntry, champion: str | None) -> None:
    """Refuse a candidate that was judged against another champion than the present one.

    Args:
        promotion: The gate's entry.
        champion: The MLflow run of the version that serves; None where none does.

    Raises:
        GateRefused: It was judged against another.
    """
    if champion != promotion.before:
        raise GateRefused(
            f"The candidate of {promotion.model!r} was judged against {_run(promotion.before)}, but "
            f"{_run(champion)} serves now. Start a new training, which is judged against that; an earlier "
            "version comes back only by a rollback (the DAG `rollback_model`).",
            judged_against=promotion.before,
            champion=champion,
        )


def require_not_left(promotion: LedgerEntry, version: ModelVersion) -> None:
    """Refuse a version that was left after the gate had promoted it: a person rolled back from it, or the
    model was withdrawn. A switch that was undone because the version did not answer may be tried again.

    Raises:
        GateRefused: It was left, and nothing has gone back to it since.
    """
    sha256, left = version.archive.sha256, None
    for entry in entries.history(version.model):
        if entry.sequence <= promotion.sequence:
            continue
        if entry.action in SWITCHES and _archive_of(entry, "route") == sha256:
            left = None
        elif entry.action == Action.WITHDRAW or _leaves(entry, sha256):
            left = entry
    if left is not None:
        raise GateRefused(
            f"{version.model} version {version.version} is not served again: after the gate had promoted it, "
            f"{left.actor} left it (entry {left.sequence} of the ledger, {left.action}): {left.why} Start a "
            "new training; an earlier version comes back only by a rollback (the DAG `rollback_model`).",
            run_id=version.run_id,
            left_by=left.entry_hash,
        )


def require_drift_decision(decision: DriftDecision, model: str, *, was_asked: bool = False) -> None:
    """Refuse a training that no decision of the drift check asks for.

    Args:
        was_asked: Whether a person has answered what the decision asks one; without, one that says `ask`
            asks for no training.

    Raises:
        InvalidRequest: The decision does not say `retrain`, is another model's, or is not in the ledger as
            it is.
    """
    if decision.model != model:
        raise InvalidRequest(
            f"The drift decision is about {decision.model!r}, but a training of {model!r} is asked for."
        )
    if decision.verdict != "retrain" and not (was_asked and decision.verdict == "ask"):
        raise InvalidRequest(
            f"The drift decision of {model!r} says {decision.verdict!r}, not 'retrain': {decision.why} "
            "Ask without a decision to train by hand."
        )
    entry = entries.find(decision.ledger_hash) if decision.ledger_hash else None
    decided = (model, Action.DRIFT, decision.verdict)
    if entry is None or (entry.model, entry.action, entry.after) != decided:
        raise InvalidRequest(
            f"The drift decision of {model!r} ({decision.ledger_hash}) is not in the ledger. Only a "
            "decision that the drift check recorded starts a training.",
            ledger_hash=decision.ledger_hash,
        )
    if not _is_recorded(decision, entry):
        raise InvalidRequest(
            f"The drift decision of {model!r} differs from what the ledger holds as entry {entry.sequence}. "
            "Clear the drift check, and pass on what it decides.",
            ledger_hash=decision.ledger_hash,
        )


def _is_recorded(decision: DriftDecision, entry: LedgerEntry) -> bool:
    """Whether the entry holds this very decision; as JSON, in which NaN is equal to itself."""
    try:
        recorded = DriftDecision.model_validate(entry.evidence.get("decision"))
    except ValidationError:
        return False
    return recorded.model_dump_json() == decision.model_copy(update={"ledger_hash": None}).model_dump_json()


def _leaves(entry: LedgerEntry, sha256: str) -> bool:
    by_a_person = entry.action == Action.ROLLBACK and not entry.evidence.get("undoes")
    return by_a_person and _archive_of(entry, "before") == sha256


def _archive_of(entry: LedgerEntry, route: str) -> str | None:
    return (entry.evidence.get(route) or {}).get("archive_sha256")


def _is_promotion(entry: LedgerEntry) -> bool:
    return (entry.action, entry.after) == (Action.GATE, "promote")


def _decision_in(entry: LedgerEntry) -> GateDecision:
    return GateDecision.model_validate(entry.evidence["decision"])


def _is_about(entry: LedgerEntry, version: ModelVersion) -> bool:
    decision = _decision_in(entry)
    judged = (entry.model, decision.run_id, decision.archive_sha256)
    return judged == (version.model, version.run_id, version.archive.sha256) and _is_archive(
        entry.evidence.get("archive"), version.archive
    )


def _is_archive(recorded: dict[str, Any] | None, archive: Archive) -> bool:
    """Whether the registry says of the archive what the gate recorded.

    It may lie elsewhere by now, and a long example is not kept in the registry.
    """
    if recorded is None:
        return True
    free = {"url", *(() if archive.input_example else ("input_example",))}
    return Archive.model_validate(recorded).model_dump(exclude=free) == archive.model_dump(exclude=free)


def _run(run_id: str | None) -> str:
    return f"run {run_id}" if run_id else "no champion"
