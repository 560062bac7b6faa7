"""Judge a candidate, and write the decision down before it takes effect.

What is decided is `tasks.gate.decide`, a pure function; this module reads and writes.
"""

from tasks.contracts import Action, GateDecision, GateRequest
from tasks.errors import FrozenSetMismatch, InvalidRequest
from tasks.gate.decide import decide
from tasks.ledger import entries
from tasks.stores import registry


def gate(request: GateRequest) -> GateDecision:
    """Decide, write the decision to the ledger, and then keep it with the MLflow run.

    A refused candidate keeps its run, its archive and the tag with the reason; only `register` makes a
    version.

    Raises:
        FrozenSetMismatch: The evaluation was not made on the test part of the run's snapshot.
        ArchiveMismatch: Another archive was evaluated than the one that is asked about.
        InvalidRequest: Run, archive and evaluation are not of one candidate, or of other rules than the
            model's.
    """
    spec, run, archive, evaluation = request.spec, request.run, request.archive, request.evaluation
    if {spec.name} != {run.model, archive.model, evaluation.model} or run.run_id != archive.run_id:
        raise InvalidRequest(
            f"The gate of {spec.name!r} was given run {run.run_id} of {run.model!r}, the archive of run "
            f"{archive.run_id} of {archive.model!r} and an evaluation of {evaluation.model!r}. Give it one "
            "candidate's."
        )
    if evaluation.frozen_sha256 != run.snapshot.test.sha256:
        raise FrozenSetMismatch(
            f"{evaluation.report_url} was made on rows with the hash {evaluation.frozen_sha256}, but the "
            f"test part of the run {run.run_id} has {run.snapshot.test.sha256}. Evaluate the candidate on "
            "its own snapshot."
        )
    decision = decide(evaluation, spec.gate, archive)
    entry = entries.record(
        model=spec.name,
        actor=request.context.actor,
        action=Action.GATE,
        before=evaluation.champion.run_id if evaluation.champion else None,
        after=decision.verdict,
        why=decision.why,
        evidence={"evaluation": evaluation, "rules": spec.gate, "archive": archive, "decision": decision},
    )
    recorded = decision.model_copy(update={"ledger_hash": entry.entry_hash})
    _keep(recorded)
    return recorded


def _keep(decision: GateDecision) -> None:
    registry.log_text(decision.run_id, "gate/decision.json", decision.model_dump_json(indent=2))
    registry.tag_run(
        decision.run_id,
        {
            "perennial.verdict": decision.verdict,
            "perennial.reason": decision.why,
            "perennial.decision_hash": decision.ledger_hash or "",
        },
    )
