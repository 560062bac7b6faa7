"""Write to the ledger whether retrains helped: of each that was promoted, once its probation is over."""

from collections.abc import Iterator

import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tasks.ledger.precedent import SWITCHES
from tasks.monitoring.effect import Evidence, decide_effect, evidence_of
from tasks.monitoring.memory import Retrain, promotion_of, record_of, since_promotion
from tasks.monitoring.target.summary import kept_summaries
from tasks.spec import PipelineSpec
from tasks.stores.database import retrain_requests as requests
from tasks.stores.lake import Lake


def report_effects(spec: PipelineSpec, champion_run_id: str, actor: str) -> list[LedgerEntry]:
    """Write down what each retrain came to that was not written down yet, and return those entries.

    One is due when `monitor.probation_checks` checks have judged its candidate in service, or when another
    version serves: not while its training is at work, whose gate has promoted it before it serves. One that
    never served is reported as such, and once more where it serves later.

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
    opened = connection.execute(requests.select().where(requests.c.open_model == spec.name)).first()
    for retrain in record.retrains:
        promotion = promotion_of(record, retrain)
        at_work = opened is not None and opened.train_run_id == retrain.run_id
        if promotion is None or retrain.is_reported or at_work:
            continue
        run_id = str(promotion.evidence["decision"]["run_id"])
        levels = since_promotion(record, run_id)[: spec.monitor.probation_checks]
        serves = run_id == champion_run_id
        served = serves or has_served(connection, spec.name, run_id)
        is_over = len(levels) == spec.monitor.probation_checks or not serves
        if is_over and (served or retrain.effect is None):
            lake = Lake()
            before, after = (kept_summaries(lake, spec, each) for each in (promotion.before or "", run_id))
            found = evidence_of(promotion, levels, before, after, served=served)
            yield _write(connection, retrain, promotion, found, actor)


def has_served(connection: sa.Connection, model: str, run_id: str) -> bool:
    """Whether what serves was ever switched to this run, and that was not undone as it did not answer."""
    undone: set[object] = set()
    for entry in entries.newest_first(connection, model, *SWITCHES, Action.RECONCILE):
        switches_to = (entry.evidence.get("route") or {}).get("run_id")
        if entry.action in SWITCHES and switches_to == run_id and not undone & {run_id, entry.entry_hash}:
            return True
        if entry.action in SWITCHES:
            undone.discard(switches_to)
        if entry.evidence.get("undoes"):
            undone.add(_undone(entry))
    return False


def _undone(entry: LedgerEntry) -> object:
    """The run whose switch was taken back, or the hash of the switch that was."""
    if entry.action == Action.RECONCILE:
        return entry.evidence["undoes"]
    return (entry.evidence.get("before") or {}).get("run_id")


def _write(
    connection: sa.Connection, retrain: Retrain, promotion: LedgerEntry, found: Evidence, actor: str
) -> LedgerEntry:
    verdict, why = decide_effect(found)
    return entries.append(
        connection,
        model=promotion.model,
        actor=actor,
        action=Action.EFFECT,
        before=retrain.granted.entry_hash,
        after=verdict,
        why=why,
        evidence={
            "found": found,
            "promotion": promotion.entry_hash,
            "run_id": promotion.evidence["decision"]["run_id"],
            "train_run_id": retrain.run_id,
        },
    )
