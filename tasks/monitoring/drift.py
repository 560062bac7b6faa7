"""Look whether the service's traffic still looks like what its champion was validated on, and what follows.

How the window is compared is in `tasks.monitoring.comparison`; what follows is decided in
`tasks.monitoring.decide`.
"""

from tasks.contracts import Action, Archive, DriftDecision, DriftRequest, ModelVersion, TrainingRun
from tasks.errors import CheckFailed, NothingToDo
from tasks.monitoring.decide import in_full, judge
from tasks.monitoring.distributions import distributions_of
from tasks.monitoring.effect_report import report_effects
from tasks.monitoring.look import Look, look, span_of
from tasks.monitoring.memory import remember
from tasks.monitoring.page.of_check import Checked
from tasks.monitoring.page.write import page_url, write_page
from tasks.monitoring.profiles.stored import id_of
from tasks.monitoring.record_check import record_check
from tasks.monitoring.states import next_state
from tasks.monitoring.watch import Next
from tasks.monitoring.windows import judged_window
from tasks.serving.champion import tell_champion
from tasks.spec import PipelineSpec
from tasks.stores import files, registry
from tasks.stores.database import engine


def drift(request: DriftRequest) -> DriftDecision:
    """Check one window of predictions, write the report and the ledger's entry, and say what follows.

    Raises:
        NothingToDo: No model serves yet, so there is nothing to compare with.
        CheckFailed: The check cannot tell, because a number that the decision rests on is not one.
        InvalidProject: No expectation of the suite is about a feature, or no feature can be compared.
        FrozenSetMismatch: The champion's validation part is not the one that its snapshot froze.
    """
    version = _champion(request.spec)
    run = registry.training_run(version.run_id)
    decision = check(request, run, version.archive)
    report_effects(request.spec, run.run_id, request.context.actor)
    if decision.verdict == "cannot_tell":
        raise CheckFailed(decision.why, ledger_hash=decision.ledger_hash)
    return decision


def check(request: DriftRequest, run: TrainingRun, archive: Archive | None = None) -> DriftDecision:
    """Check the window against what the run `run` was trained on and judged by.

    Args:
        archive: What serves; None where it is not at hand, and the preparation of rows is not replayed.
    """
    spec, work_url = request.spec, request.context.work_url
    seen = look(request, run, archive)
    found = judge(seen.findings, spec.monitor)
    with engine().connect() as connection:
        memory = remember(connection, spec.name, run.run_id, window=span_of(request))
    step = next_state(found, memory, spec.monitor)
    decision = _decision(request, run, seen, step)
    # The page names the entry, and the entry the page: where it lies follows from what was decided.
    decision = decision.model_copy(update={"page_url": page_url(decision, work_url)})
    evidence = {
        "decision": decision,
        "findings": seen.findings,
        "check": found,
        "memory": memory,
        "state": step.state,
        "follows": step.follows,
        "rules": spec.monitor,
        "reference": id_of(seen.reference),
        "windows": [(window.start, window.end, window.rows) for window in seen.windows],
        "distributions": distributions_of(
            seen.reference, judged_window(seen.windows, spec.monitor), decision.signals
        ),
        "measured": seen.measured,
    }
    entry = record_check(
        model=spec.name,
        actor=request.context.actor,
        action=Action.DRIFT,
        before=run.run_id,
        after=step.verdict,
        why=decision.why,
        evidence=evidence,
    )
    kept = DriftDecision.model_validate(entry.evidence["decision"])
    recorded = kept.model_copy(update={"ledger_hash": entry.entry_hash})
    write_page(str(recorded.page_url), _checked(recorded, seen, spec))
    files.write_text(work_url, "decision.json", text=recorded.model_dump_json(indent=2))
    return recorded


def _decision(request: DriftRequest, run: TrainingRun, seen: Look, step: Next) -> DriftDecision:
    findings, compared, floor = seen.findings, seen.compared, request.spec.monitor.domain_auc
    return DriftDecision(
        model=request.spec.name,
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
        threshold=None if findings.null_auc is None else max(findings.null_auc, floor),
        columns=compared.distances,
        new_rows=findings.new_rows,
        validation=compared.validation,
        why=in_full(step, findings),
        report_url=compared.report_url,
        signals=findings.signals or (),
    )


def _checked(recorded: DriftDecision, seen: Look, spec: PipelineSpec) -> Checked:
    return Checked(
        decision=recorded,
        findings=seen.findings,
        rules=spec.monitor,
        reference=seen.reference,
        reference_id=id_of(seen.reference),
        windows=seen.windows,
        columns=seen.compared.columns,
        earlier=seen.earlier,
        auc_threshold=seen.compared.auc_threshold,
        quality=seen.quality,
    )


def _champion(spec: PipelineSpec) -> ModelVersion:
    found = tell_champion(spec.name)
    if found.version is None:
        raise NothingToDo(
            f"No version of {spec.name!r} is the champion yet, so its traffic can be compared with nothing. "
            f"Run the DAG train_{spec.name} until a model serves."
        )
    return found.version
