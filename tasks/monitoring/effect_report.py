"""Write to the ledger whether retrains helped: of each that was promoted, once its probation is over."""

from collections.abc import Iterator

import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tasks.monitoring.effect import decide_effect, evidence_of
from tasks.monitoring.memory import Record, Retrain, promotion_of, record_of, since_promotion
from tasks.monitoring.target.summary import kept_summaries
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake


def report_effects(spec: PipelineSpec, champion_run_id: str, actor: str) -> list[LedgerEntry]:
    """Write down what each retrain came to that was not written down yet, and return those entries.

    One is due when `monitor.probation_checks` checks have judged its candidate in service, or when another
    version serves.

    Args:
        champion_run_id: The MLflow run of the version that serves.

    Raises:
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    return entries.in_turn(lambda connection: list(_report(connection, spec, champion_run_id, actor)))


def _report(
    connection: sa.Connection, spec: PipelineSpec, champion_run_id: str, actor: str
) -> Iterator[LedgerEntry]:
    record = record_of(connection, spec.name)
    for retrain in record.retrains:
        promotion = promotion_of(record, retrain)
        if promotion is not None and not retrain.is_reported:
            run_id = str(promotion.evidence["decision"]["run_id"])
            levels = since_promotion(record, run_id)
            if len(levels) >= spec.monitor.probation_checks or run_id != champion_run_id:
                yield _write(connection, retrain, promotion, record, actor, spec)


def _write(
    connection: sa.Connection,
    retrain: Retrain,
    promotion: LedgerEntry,
    record: Record,
    actor: str,
    spec: PipelineSpec,
) -> LedgerEntry:
    run_id = str(promotion.evidence["decision"]["run_id"])
    levels = since_promotion(record, run_id)[: spec.monitor.probation_checks]
    lake = Lake()
    before, after = (kept_summaries(lake, spec, each) for each in (promotion.before or "", run_id))
    found = evidence_of(promotion, levels, before, after)
    verdict, why = decide_effect(found)
    return entries.append(
        connection,
        model=spec.name,
        actor=actor,
        action=Action.EFFECT,
        before=retrain.granted.entry_hash,
        after=verdict,
        why=why,
        evidence={
            "found": found,
            "promotion": promotion.entry_hash,
            "run_id": run_id,
            "train_run_id": retrain.run_id,
        },
    )
