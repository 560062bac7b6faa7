"""Look whether the service's traffic still looks like what its champion was validated on, and what follows.

How the window is compared is in `tasks.monitoring.comparison`; what follows is decided in
`tasks.monitoring.decide`.
"""

from dataclasses import replace
from datetime import UTC, datetime

from tasks.contracts import Action, DriftDecision, DriftRequest, Reference, TrainingRun
from tasks.errors import CheckFailed, NothingToDo
from tasks.ledger import entries
from tasks.monitoring.comparison import Seen, compare
from tasks.monitoring.decide import Findings, in_full, judge
from tasks.monitoring.effect_report import report_effects
from tasks.monitoring.inputs.reference import make_reference
from tasks.monitoring.memory import remember
from tasks.monitoring.profiles.stored import id_of, keep_reference, newest_reference
from tasks.monitoring.states import next_state
from tasks.monitoring.target import reference as target_reference
from tasks.monitoring.target import signals as target_signals
from tasks.monitoring.target import summary as target
from tasks.monitoring.windows import profiles_until, rows_between
from tasks.serving.champion import tell_champion
from tasks.spec import PipelineSpec
from tasks.stores import files, registry
from tasks.stores.database import engine
from tasks.stores.lake import Lake


def drift(request: DriftRequest) -> DriftDecision:
    """Check one window of predictions, write the report and the ledger's entry, and say what follows.

    Raises:
        NothingToDo: No model serves yet, so there is nothing to compare with.
        CheckFailed: The check cannot tell, because a number that the decision rests on is not one.
        InvalidProject: No expectation of the suite is about a feature, or no feature can be compared.
        FrozenSetMismatch: The champion's validation part is not the one that its snapshot froze.
    """
    run = _champion(request.spec)
    decision = check(request, run)
    report_effects(request.spec, run.run_id, request.context.actor)
    if decision.verdict == "cannot_tell":
        raise CheckFailed(decision.why, ledger_hash=decision.ledger_hash)
    return decision


def check(request: DriftRequest, run: TrainingRun) -> DriftDecision:
    """Check the window against what the run `run` was trained on and judged by."""
    spec, work_url = request.spec, request.context.work_url
    lake, span = Lake(), (request.window_start.astimezone(UTC), request.window_end.astimezone(UTC))
    rows = rows_between(lake, spec, *span)
    reference = reference_of(lake, run, spec)
    windows = profiles_until(lake, spec, reference, span, rows)
    compared = compare(Seen(rows, windows, _earlier_aucs(spec, run, span)), reference, run, spec, work_url)
    findings = _with_target(compared.findings, lake, run, spec, span)
    found = judge(findings, spec.monitor)
    with engine().connect() as connection:
        memory = remember(connection, spec.name, run.run_id, window=span)
    step = next_state(found, memory, spec.monitor)
    why = in_full(step, findings)
    decision = DriftDecision(
        model=spec.name,
        champion_run_id=run.run_id,
        window_start=request.window_start,
        window_end=request.window_end,
        window_rows=findings.window_rows,
        reference_rows=run.snapshot.validation.rows,
        verdict=step.verdict,
        follows=step.follows,
        state=step.state,
        domain_auc=findings.domain_auc,
        null_auc=findings.null_auc,
        threshold=None if findings.null_auc is None else max(findings.null_auc, spec.monitor.domain_auc),
        columns=compared.distances,
        new_rows=findings.new_rows,
        validation=compared.validation,
        why=why,
        report_url=compared.report_url,
        signals=findings.signals or (),
    )
    entry = entries.record(
        model=spec.name,
        actor=request.context.actor,
        action=Action.DRIFT,
        before=run.run_id,
        after=step.verdict,
        why=why,
        evidence={
            "decision": decision,
            "findings": findings,
            "check": found,
            "memory": memory,
            "state": step.state,
            "follows": step.follows,
            "rules": spec.monitor,
            "reference": id_of(reference),
            "windows": [(window.start, window.end, window.rows) for window in windows],
        },
    )
    recorded = decision.model_copy(update={"ledger_hash": entry.entry_hash})
    files.write_text(work_url, "decision.json", text=recorded.model_dump_json(indent=2))
    return recorded


def _with_target(
    findings: Findings, lake: Lake, run: TrainingRun, spec: PipelineSpec, span: tuple[datetime, datetime]
) -> Findings:
    """The findings with what predictions and labels say of the version's windows."""
    history = target.summaries(lake, spec, run.run_id, span, target_reference.groups_of(spec, run))
    known = target_reference.reference_of(lake, spec, run, span[1] - span[0])
    told = target_signals.signals(history, known, spec.monitor)
    return replace(findings, signals=(*(findings.signals or ()), *told))


def reference_of(lake: Lake, run: TrainingRun, spec: PipelineSpec) -> Reference:
    """The champion's reference; made, and kept, where it has none yet."""
    known = newest_reference(lake, spec.name, run.run_id)
    if known is not None:
        return known
    made = make_reference(lake, run, spec)
    keep_reference(lake, spec.name, made)
    return made


def _earlier_aucs(spec: PipelineSpec, run: TrainingRun, span: tuple[datetime, datetime]) -> list[float]:
    """The classifier's AUC of the champion's windows before this one, in their order: each one's last
    check."""
    found = {}
    for entry in entries.history(spec.name, [Action.DRIFT]):
        decision = entry.evidence.get("decision", {})
        if entry.before == run.run_id and decision.get("domain_auc") is not None:
            end = datetime.fromisoformat(decision["window_end"])
            if end <= span[0]:
                found[end] = float(decision["domain_auc"])
    return [found[end] for end in sorted(found)]


def _champion(spec: PipelineSpec) -> TrainingRun:
    found = tell_champion(spec.name)
    if found.version is None:
        raise NothingToDo(
            f"No version of {spec.name!r} is the champion yet, so its traffic can be compared with nothing. "
            f"Run the DAG train_{spec.name} until a model serves."
        )
    return registry.training_run(found.version.run_id)
