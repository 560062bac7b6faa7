"""Make a promoted candidate a version of MLflow's registered model.

Only what the ledger says was promoted becomes a version. The alias `champion` stays where it is: the
deployment moves it when the version truly serves.
"""

from tasks.contracts import Archive, GateDecision, LedgerEntry, ModelVersion, RegisterRequest, TrainingRun
from tasks.errors import ArchiveMismatch, InvalidRequest
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent, verify
from tasks.serving.champion import serves, tell_champion
from tasks.stores import files, registry

LONGEST_TAG = 5000


def register(request: RegisterRequest) -> ModelVersion:
    """Register the candidate, once however often it is tried.

    Raises:
        LedgerBroken: The ledger's end was cut off or written anew.
        GateRefused: The gate did not promote this archive, the ledger does not hold the decision, its
            evidence gives another one, or another champion serves now than the one that the candidate was
            judged against.
        ArchiveMismatch: The archive's file is not the one that was judged.
        InvalidRequest: Run, archive and decision are not of one candidate.
    """
    verify.require_whole_end()
    promotion = precedent.promotion_of_candidate(request.decision, request.archive)
    require_replay(promotion)
    version = _registered(request, promotion)
    entries.complete(promotion, f"It is version {version.version} of MLflow's registered model.")
    return version


def _registered(request: RegisterRequest, promotion: LedgerEntry) -> ModelVersion:
    spec, run, archive, decision = request.spec, request.run, request.archive, request.decision
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
    if registered is not None and registered.decision_ledger_hash == decision.ledger_hash:
        return registered
    if not serves(spec.name, run.run_id):  # what serves already is registered again after it was deleted
        serving = tell_champion(spec.name).version
        precedent.require_same_champion(promotion, serving.run_id if serving else None)
    tags = tags_of(run, archive, decision)
    if registered is not None:  # it was judged once more, against another champion
        return registry.tag_version(registered, tags)
    return registry.create_version(spec.name, run.run_id, tags)


def _same_file(archive: Archive) -> None:
    found = files.sha256(archive.url)
    if found != archive.sha256:
        raise ArchiveMismatch(
            f"{archive.url} has the SHA-256 {found}, but {archive.sha256} was judged: the file was changed. "
            "Train again.",
            found=found,
            judged=archive.sha256,
        )


def _as_tag(archive: Archive) -> str:
    """The archive as MLflow keeps it: without an example that is too long, pipeline.yaml's counts."""
    whole = archive.model_dump_json()
    return (
        whole
        if len(whole) < LONGEST_TAG
        else archive.model_copy(update={"input_example": None}).model_dump_json()
    )


def tags_of(run: TrainingRun, archive: Archive, decision: GateDecision) -> dict[str, str]:
    """What a version says of where it came from."""
    lineage = run.model_dump_json()
    return {
        registry.ARCHIVE: _as_tag(archive),
        registry.DECISION: decision.ledger_hash or "",
        registry.ROOT: decision.root_run_id or run.run_id,
        "perennial.training_run": lineage
        if len(lineage) < LONGEST_TAG
        else f"runs:/{run.run_id}/{registry.LINEAGE}",
        "perennial.archive_sha256": archive.sha256,
        "perennial.snapshot": run.snapshot.sha256,
        "perennial.table": run.snapshot.table,
        "perennial.table_version": str(run.snapshot.table_version),
        "perennial.tables": ", ".join(f"{table.table} v{table.version}" for table in run.snapshot.pinned),
        "perennial.code_commit": run.code_commit or "none",
        "perennial.image_digest": run.image_digest or "none",
        "perennial.lock_sha256": run.lock_sha256,
        "perennial.seed": str(run.seed),
        "perennial.why": decision.why[:LONGEST_TAG],
    }
