"""Make a promoted candidate a version of MLflow's registered model.

Only what the ledger says was promoted becomes a version. The alias `champion` stays where it is: the
deployment moves it when the version truly serves.
"""

from tasks.contracts import Archive, GateDecision, LedgerEntry, ModelVersion, RegisterRequest, TrainingRun
from tasks.errors import ArchiveMismatch, GateRefused, InvalidRequest
from tasks.gate.gate import ACTION
from tasks.ledger import entries
from tasks.stores import files, registry

LONGEST_TAG = 5000


def register(request: RegisterRequest) -> ModelVersion:
    """Register the candidate, once however often it is tried.

    Raises:
        GateRefused: The gate did not promote this archive, the ledger does not hold the decision, or another
            champion serves now than the one that the candidate was judged against.
        ArchiveMismatch: The archive's file is not the one that was judged.
        InvalidRequest: Run, archive and decision are not of one candidate.
    """
    spec, run, archive, decision = request.spec, request.run, request.archive, request.decision
    entry = promoted(decision, archive)
    if {spec.name} != {run.model, archive.model, decision.model} or {run.run_id} != {
        archive.run_id,
        decision.run_id,
    }:
        raise InvalidRequest(
            f"Run {run.run_id} of {run.model!r}, archive of run {archive.run_id} of {archive.model!r} and "
            f"decision on run {decision.run_id} of {decision.model!r} are not one candidate of {spec.name!r}."
        )
    _same_file(archive)
    registered = registry.find_version(spec.name, run.run_id)
    if registered is not None:
        return registered
    _same_champion(entry, decision)
    return registry.create_version(spec.name, run.run_id, _tags(run, archive, decision))


def promoted(decision: GateDecision, archive: Archive) -> LedgerEntry:
    """The ledger's entry of a decision that promotes this archive.

    Raises:
        GateRefused: There is none.
    """
    if decision.verdict != "promote":
        raise GateRefused(
            f"The gate said {decision.verdict!r} of run {decision.run_id}: {decision.why}",
            verdict=decision.verdict,
        )
    entry = entries.find(decision.ledger_hash) if decision.ledger_hash else None
    if entry is None or (entry.model, entry.action, entry.after) != (decision.model, ACTION, "promote"):
        raise GateRefused(
            f"The decision on run {decision.run_id} of {decision.model!r} ({decision.ledger_hash}) is not a "
            "promotion in the ledger. Let the gate judge the candidate.",
            ledger_hash=decision.ledger_hash,
        )
    recorded = GateDecision.model_validate(entry.evidence["decision"])
    if recorded != decision.model_copy(update={"ledger_hash": None}):
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


def _same_file(archive: Archive) -> None:
    found = files.sha256(archive.url)
    if found != archive.sha256:
        raise ArchiveMismatch(
            f"{archive.url} has the SHA-256 {found}, but {archive.sha256} was judged: the file was changed. "
            "Train again.",
            found=found,
            judged=archive.sha256,
        )


def _same_champion(entry: LedgerEntry, decision: GateDecision) -> None:
    champion = registry.champion(decision.model)
    serving = champion.run_id if champion else None
    if serving != entry.before:
        raise GateRefused(
            f"Run {decision.run_id} was judged against {entry.before or 'no champion'}, but "
            f"{serving or 'no champion'} is the champion of {decision.model!r} now. Evaluate the candidate "
            "against it.",
            judged_against=entry.before,
            champion=serving,
        )


def _tags(run: TrainingRun, archive: Archive, decision: GateDecision) -> dict[str, str]:
    lineage = run.model_dump_json()
    return {
        registry.ARCHIVE: archive.model_dump_json(),
        registry.DECISION: decision.ledger_hash or "",
        "perennial.training_run": lineage
        if len(lineage) < LONGEST_TAG
        else f"runs:/{run.run_id}/{registry.LINEAGE}",
        "perennial.archive_sha256": archive.sha256,
        "perennial.snapshot": run.snapshot.sha256,
        "perennial.table": run.snapshot.table,
        "perennial.table_version": str(run.snapshot.table_version),
        "perennial.code_commit": run.code_commit or "none",
        "perennial.image_digest": run.image_digest or "none",
        "perennial.lock_sha256": run.lock_sha256,
        "perennial.seed": str(run.seed),
        "perennial.why": decision.why[:LONGEST_TAG],
    }
