"""Close a retrain request: its training ended, was not started, or is lost. Another may be granted then.

A training that is killed with everything around it never says that it ended: its request expires after the
longest time that the training, all its retries and the steps around it may take.
"""

from datetime import UTC, datetime

import sqlalchemy as sa

from tasks.contracts import Action
from tasks.ledger import entries
from tasks.monitoring.cost import Cost, keep
from tasks.spec import PipelineSpec
from tasks.stores.database import engine
from tasks.stores.database import retrain_requests as requests

AROUND_TRAINING_SECONDS = 3600.0
NOT_STARTED = "not started"
ACTOR = "perennial:retrain"


def close(
    model: str, train_run_id: str, why: str = "the training run ended", cost: Cost | None = None
) -> bool:
    """Say that a training ended, so that the next request may be granted after the pause.

    Args:
        cost: What it took, to be written to the ledger; None where that is not known.

    Returns:
        Whether an open request was closed; False for a run that no request had started, or that is closed
        already.
    """
    which, now = requests.c.train_run_id == train_run_id, datetime.now(UTC)
    with engine().begin() as connection:
        closed = _close(connection, which, model, now, why) > 0
        if closed and cost is not None:
            keep(connection, model, train_run_id, cost)
        return closed


def close_unstarted(model: str, train_run_id: str, why: str, actor: str) -> bool:
    """Say that a granted training was not started, so that the next request need not wait for the pause.

    Returns:
        Whether its request was open.

    Raises:
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    return entries.in_turn(lambda connection: _close_unstarted(connection, model, train_run_id, why, actor))


def longest_seconds(spec: PipelineSpec) -> float:
    """The longest that a granted training may take, all retries and the steps around it included."""
    return spec.training.timeout_seconds * (1 + spec.training.retries) + AROUND_TRAINING_SECONDS


def expire(connection: sa.Connection, spec: PipelineSpec, now: datetime) -> None:
    """Close a request whose training was never heard of again.

    It may have cost all that it was allowed to.
    """
    model = spec.name
    why = "nothing was heard of the training within the longest time that it may take"
    late = connection.execute(
        requests.select().where(requests.c.open_model == model, requests.c.expires_at <= now)
    ).first()
    if _close(connection, requests.c.expires_at <= now, model, now, why) and late is not None:
        entries.append(
            connection,
            model=model,
            actor=ACTOR,
            action=Action.RETRAIN,
            before=late.train_run_id,
            after="expired",
            why=f"{late.train_run_id}: {why}",
            evidence={
                "train_run_id": late.train_run_id,
                "granted_at": late.granted_at,
                "expires_at": late.expires_at,
                "seconds": longest_seconds(spec)
                * (spec.resources.cpus if spec.resources.gpus == "none" else 1),
            },
        )


def _close_unstarted(connection: sa.Connection, model: str, train_run_id: str, why: str, actor: str) -> bool:
    which, now = requests.c.train_run_id == train_run_id, datetime.now(UTC)
    if not _close(connection, which, model, now, f"{NOT_STARTED}: {why}"):
        return False
    entries.append(
        connection,
        model=model,
        actor=actor,
        action=Action.RETRAIN,
        before=train_run_id,
        after="not started",
        why=why,
        evidence={"train_run_id": train_run_id, "closed_at": now},
    )
    return True


def _close(
    connection: sa.Connection, which: sa.ColumnElement[bool], model: str, now: datetime, why: str
) -> int:
    closed = connection.execute(
        requests.update()
        .where(requests.c.open_model == model, which)
        .values(open_model=None, closed_at=now, closed_why=why)
    )
    return int(closed.rowcount)
