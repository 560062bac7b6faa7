"""Look whether the service's traffic still looks like what its champion was validated on, and what follows.

How the window is compared is in `tasks.monitoring.comparison`; what follows is decided in
`tasks.monitoring.decide`.
"""

import json
from datetime import datetime

import pyarrow as pa

from tasks.contracts import (
    Action,
    ColumnDistance,
    DriftDecision,
    DriftRequest,
    TrainingRun,
    ValidationReport,
)
from tasks.data.typed_values import from_python
from tasks.errors import CheckFailed, NothingToDo
from tasks.ledger import entries
from tasks.monitoring.decide import Findings, decide
from tasks.serving.champion import tell_champion
from tasks.spec import PipelineSpec
from tasks.stores import files, registry
from tasks.stores.lake import Lake


def drift(request: DriftRequest) -> DriftDecision:
    """Check one window of predictions, write the report and the ledger's entry, and say what follows.

    Raises:
        NothingToDo: No model serves yet, so there is nothing to compare with.
        CheckFailed: The check cannot tell, because a number that the decision rests on is not one.
        InvalidProject: No expectation of the suite is about a feature, or no feature can be compared.
        FrozenSetMismatch: The champion's validation part is not the one that its snapshot froze.
    """
    decision = check(request, _champion(request.spec))
    if decision.verdict == "cannot_tell":
        raise CheckFailed(decision.why, ledger_hash=decision.ledger_hash)
    return decision


def check(request: DriftRequest, run: TrainingRun) -> DriftDecision:
    """Check the window against what the run `run` was validated on."""
    spec, work_url = request.spec, request.context.work_url
    window = _window(request)
    findings, validation, columns, report_url = _look(window, run, spec, work_url)
    verdict, why = decide(findings, spec.monitor)
    decision = DriftDecision(
        model=spec.name,
        champion_run_id=run.run_id,
        window_start=request.window_start,
        window_end=request.window_end,
        window_rows=findings.window_rows,
        reference_rows=run.snapshot.validation.rows,
        verdict=verdict,
        domain_auc=findings.domain_auc,
        null_auc=findings.null_auc,
        threshold=None if findings.null_auc is None else max(findings.null_auc, spec.monitor.domain_auc),
        columns=columns,
        new_rows=findings.new_rows,
        validation=validation,
        why=why,
        report_url=report_url,
    )
    entry = entries.record(
        model=spec.name,
        actor=request.context.actor,
        action=Action.DRIFT,
        before=run.run_id,
        after=verdict,
        why=why,
        evidence={"decision": decision, "findings": findings, "rules": spec.monitor},
    )
    recorded = decision.model_copy(update={"ledger_hash": entry.entry_hash})
    files.write_text(work_url, "decision.json", text=recorded.model_dump_json(indent=2))
    return recorded


def _champion(spec: PipelineSpec) -> TrainingRun:
    found = tell_champion(spec.name)
    if found.version is None:
        raise NothingToDo(
            f"No version of {spec.name!r} is the champion yet, so its traffic can be compared with nothing. "
            f"Run the DAG train_{spec.name} until a model serves."
        )
    return registry.training_run(found.version.run_id)


def _window(request: DriftRequest) -> pa.Table:
    """The features of the window's predictions, in the order of their ids."""
    lake, table, data = Lake(), f"{request.spec.name}__predictions", request.spec.data
    features = list(data.features)
    if not lake.exists(table):
        return pa.table({name: pa.nulls(0) for name in features})
    start, end = _sql(request.window_start), _sql(request.window_end)
    where = f"predicted_at >= {start} AND predicted_at < {end} ORDER BY prediction_id"
    logged = lake.query(f'SELECT * FROM "{table}" LIMIT 0', [table]).column_names  # noqa: S608 - a model's name
    if set(features) <= set(logged):
        return lake.read(table, columns=features, where_sql=where)
    # The model has had another feature since its table was made: the whole instances are in `request`.
    asked = lake.read(table, columns=["request"], where_sql=where)["request"].to_pylist()
    return from_python([json.loads(instance) for instance in asked], data.feature_types).rows


def _sql(time: datetime) -> str:
    return f"TIMESTAMPTZ '{time.isoformat()}'"


def _look(
    window: pa.Table, run: TrainingRun, spec: PipelineSpec, work_url: str
) -> tuple[Findings, ValidationReport | None, tuple[ColumnDistance, ...], str | None]:
    """Look as far as each finding allows: no comparison of a window that is too small."""
    if len(window) < spec.monitor.minimum_window_rows:
        return Findings(len(window)), None, (), None
    # Imports Great Expectations and Evidently: seconds that a model without traffic does not pay every day.
    from tasks.monitoring.comparison import compare

    return compare(window, run, spec, work_url)
