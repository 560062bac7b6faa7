"""Judge a candidate, and write the decision down before it takes effect.

What is decided is `tasks.gate.decide`, a pure function; this module reads and writes.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tasks.contracts import (
    Action,
    Circumstances,
    EvaluationReport,
    GateDecision,
    GateRequest,
    LedgerEntry,
    Look,
    ModelScore,
)
from tasks.errors import FrozenSetMismatch, InvalidRequest
from tasks.evaluation.preparation.read_code import code_of, digest_of
from tasks.gate import budget
from tasks.gate.decide import decide, meets_another, policy_of
from tasks.gate.standing import circumstances, standing
from tasks.ledger import entries, verify
from tasks.spec import GateSpec, PipelineSpec
from tasks.stores import registry


def gate(request: GateRequest) -> GateDecision:
    """Decide, write the decision to the ledger, and then keep it with the MLflow run.

    What the comparison with the champion may cost follows from the ledger, in the transaction that writes the
    entry: two gates at once spend one after the other. A candidate that is judged again on the same rows
    against the same champion gets the level that it had.

    A refused candidate keeps its run, its archive and the tag with the reason; only `register` makes a
    version.

    Raises:
        FrozenSetMismatch: The evaluation was not made on the test part of the run's snapshot.
        ArchiveMismatch: Another archive was evaluated than the one that is asked about.
        InvalidRequest: Run, archive and evaluation are not of one candidate, or of other rules than the
            model's; or the evaluation lacks what a rule reads.
        LedgerBroken: The ledger's end was cut off or written anew.
    """
    verify.require_whole_end()
    decision = judge(request, datetime.now(UTC))
    _keep(decision)
    return decision


def judge(request: GateRequest, at: datetime) -> GateDecision:
    """Decide and write the decision to the ledger, as if it were `at`."""
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
    _require_whole(evaluation)
    _require_behaviour(spec, evaluation)
    code = code_of(run)
    known = {"code": digest_of(code)} if code else {}
    decision, entry = entries.in_turn(lambda connection: _decide(request, at, connection, known))
    return decision.model_copy(update={"ledger_hash": entry.entry_hash})


def _require_whole(evaluation: EvaluationReport) -> None:
    """Refuse an evaluation that leaves out what a rule reads: a record of an earlier Perennial has none, and
    is only decided again as it was.
    """
    missing = [name for name in ("health", "sets") if getattr(evaluation, name) is None]
    if missing:
        raise InvalidRequest(
            f"{evaluation.report_url} lacks {' and '.join(missing)}, so that rules of the gate would be left "
            "out. Evaluate the candidate again.",
            missing=missing,
        )


def _require_behaviour(spec: PipelineSpec, evaluation: EvaluationReport) -> None:
    """Refuse an evaluation that leaves a behavioural test out."""
    asked, told = ([test.name for test in each.behaviour] for each in (spec, evaluation))
    if asked != told:
        raise InvalidRequest(
            f"models/{spec.name}/behaviour.yaml has the tests {asked}, but {evaluation.report_url} has "
            f"results of {told}. Evaluate the candidate again."
        )


def _decide(
    request: GateRequest, at: datetime, connection: sa.Connection, known: dict[str, str]
) -> tuple[GateDecision, LedgerEntry]:
    spec, evaluation, archive = request.spec, request.evaluation, request.archive
    end = entries.end(connection)
    if evaluation.champion is not None:
        _require_standing(evaluation, evaluation.champion, spec.gate, connection)
    beside = circumstances(connection, evaluation, request.context.run_key)
    look = _look(evaluation, spec.gate, beside, at, connection)
    decision = decide(evaluation, spec.gate, archive, look, beside)
    entry = entries.append(
        connection,
        joins=end,
        model=spec.name,
        actor=request.context.actor,
        action=Action.GATE,
        before=evaluation.champion.run_id if evaluation.champion else None,
        after=decision.verdict,
        why=decision.why,
        evidence={
            "evaluation": evaluation,
            "rules": spec.gate,
            "archive": archive,
            "look": look,
            "circumstances": beside,
            "decision": decision,
            **({"started_by": request.started_by} if request.started_by else {}),
            **known,
        },
    )
    return decision, entry


def _require_standing(
    evaluation: EvaluationReport, champion: ModelScore, rules: GateSpec, connection: sa.Connection
) -> None:
    """Refuse an evaluation against another root or anchor than the ledger's: it was made before somebody
    answered a label incident, or was not made by us.
    """
    known, sets = standing(connection, evaluation.model, champion.run_id or ""), evaluation.sets
    compared = evaluation.root.run_id if evaluation.root else champion.run_id
    if rules.policy != "superiority" and compared != known.root_run_id:
        raise InvalidRequest(
            f"The evaluation of {evaluation.model!r} takes run {compared} for the root, which candidates may "
            f"not be worse than by more than a margin, but by the ledger it is run {known.root_run_id}. "
            "Clear the task `champion` with what follows."
        )
    if sets is None:
        return
    world = known.world.sha256 if known.world else None
    anchor = None if world else known.anchor_sha256 or sets.anchor.base_sha256
    if (sets.world_sha256, sets.anchor.base_sha256) != (world, anchor):
        raise InvalidRequest(
            f"The evaluation of {evaluation.model!r} extends the anchor {sets.anchor.base_sha256} and takes "
            f"the test part {sets.world_sha256} for right, but by the ledger these are {anchor} and {world}. "
            "Clear the task `champion` with what follows.",
            anchor=anchor,
            world=world,
        )


def _look(
    evaluation: EvaluationReport,
    rules: GateSpec,
    beside: Circumstances,
    at: datetime,
    connection: sa.Connection,
) -> Look | None:
    """What this comparison may cost; None without a champion to compare with."""
    if not meets_another(evaluation):
        return None
    rate, spent = rules.false_promotion_rate, []
    asked = (policy_of(rules, beside), *_compared(evaluation.model_dump(mode="json")))
    year = at - budget.YEAR  # after that, the reserve is as full as before the first comparison
    for entry in entries.newest_first(connection, evaluation.model, Action.GATE, since=year):
        if not entry.evidence.get("look"):
            continue
        look = Look.model_validate(entry.evidence["look"])
        if look.rate == rate and _looked_at(entry.evidence) == asked:
            return look
        spent.append(look)
    return budget.allot(rate, budget.last_of(spent), at)


def _looked_at(evidence: dict[str, Any]) -> tuple[Any, ...]:
    rules = GateSpec.model_validate(evidence["rules"])
    beside = Circumstances.model_validate(evidence.get("circumstances", {}))
    return (policy_of(rules, beside), *_compared(evidence["evaluation"]))


def _compared(evaluation: dict[str, Any]) -> tuple[Any, ...]:
    """What was compared with what, by which metric, on which rows: of the same frozen ones more are confirmed
    as they get older.
    """
    models = (evaluation["candidate"], evaluation["champion"] or {})
    archives = (model.get("archive_sha256") for model in models)
    called_right = (evaluation.get("sets") or {}).get("world_sha256")
    rows = (evaluation["frozen_sha256"], evaluation["rows"], called_right)
    return (*archives, evaluation["primary_metric"], *rows)


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
