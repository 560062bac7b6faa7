"""Grant or refuse a retrain request: one open request a
model, a pause after each, every answer in the ledger.

The lock is a row of the database, held from the grant until `close` says that the training has ended, however
it ended. A training that is killed with everything around it never says so: its request expires after the
longest time that the training, all its retries and the steps around it may take.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tasks.contracts import Action, RetrainRequest, RetrainTicket
from tasks.ledger import entries, precedent
from tasks.spec import PipelineSpec
from tasks.stores.database import engine
from tasks.stores.database import retrain_requests as requests

AROUND_TRAINING_SECONDS = 3600.0


def retrain(request: RetrainRequest) -> RetrainTicket:
    """Answer a retrain request; a step that is tried again gets the ticket that it got before.

    Raises:
        InvalidRequest: The drift decision does not say `retrain`, is another model's, or is not in the
            ledger.
    """
    if request.decision is not None:
        precedent.require_drift_decision(request.decision, request.spec.name)
    while True:
        try:
            with engine().begin() as connection:
                return _answer(connection, request, time.time())
        except sa.exc.IntegrityError:
            # Another request was granted, or another entry recorded, at the same moment: look again.
            continue


def close(model: str, train_run_id: str, why: str = "the training run ended") -> bool:
    """Say that a training ended, so that the next request may be granted after the pause.

    Returns:
        Whether an open request was closed; False for a run that no request had started, or that is closed
        already.
    """
    with engine().begin() as connection:
        return _close(connection, requests.c.train_run_id == train_run_id, model, time.time(), why) > 0


@dataclass(frozen=True)
class OpenRequest:
    """A request whose training has not ended. Times are seconds since the epoch."""

    model: str
    train_run_id: str
    reason: str
    granted_at: float
    expires_at: float


def open_requests() -> list[OpenRequest]:
    """Every open request, oldest first: what a start of the platform, or a person, has to look after."""
    query = requests.select().where(requests.c.open_model.is_not(None)).order_by(requests.c.granted_at)
    with engine().connect() as connection:
        rows = connection.execute(query)
        return [
            OpenRequest(row.model, row.train_run_id, row.reason, row.granted_at, row.expires_at)
            for row in rows
        ]


def longest_seconds(spec: PipelineSpec) -> float:
    """The longest that a granted training may take, all retries and the steps around it included."""
    return spec.training.timeout_seconds * (1 + spec.training.retries) + AROUND_TRAINING_SECONDS


def _answer(connection: sa.Connection, request: RetrainRequest, now: float) -> RetrainTicket:
    """One try, in one transaction.

    Its first statement writes, so that on SQLite the tries come one after the other.
    """
    model = request.spec.name
    _expire(connection, model, now)
    request_id = hashlib.sha256(f"{model}\n{request.context.step_key}".encode()).hexdigest()[:16]
    mine = connection.execute(requests.select().where(requests.c.request_id == request_id)).first()
    if mine is not None:
        return RetrainTicket(model=model, granted=True, train_run_id=mine.train_run_id, reason=mine.reason)
    refusal = request.hindrance or _refusal(connection, request.spec, now)
    if refusal is not None:
        return _refuse(connection, request, refusal)
    return _grant(connection, request, request_id, now)


def _refusal(connection: sa.Connection, spec: PipelineSpec, now: float) -> str | None:
    last = connection.execute(
        requests.select().where(requests.c.model == spec.name).order_by(requests.c.granted_at.desc()).limit(1)
    ).first()
    if last is None:
        return None
    if last.open_model is not None:
        return (
            f"The training {last.train_run_id}, granted {_ago(now - last.granted_at)} ago, has not ended. "
            "One at a time: ask again when it has."
        )
    left = last.granted_at + spec.monitor.cooldown_seconds - now
    if left > 0:
        return (
            f"The last retrain ({last.train_run_id}) was granted {_ago(now - last.granted_at)} ago, and "
            f"monitor.cooldown_seconds is {spec.monitor.cooldown_seconds:g}: ask again in {_ago(left)}."
        )
    return None


def _grant(connection: sa.Connection, request: RetrainRequest, request_id: str, now: float) -> RetrainTicket:
    """Write the request and its ledger entry together: both
    are there before anybody learns of the ticket, or neither.
    """
    spec = request.spec
    reason = request.decision.why if request.decision else request.reason
    run_id = f"retrain__{request_id}"
    row = {
        "request_id": request_id,
        "model": spec.name,
        "open_model": spec.name,
        "step_key": request.context.step_key,
        "train_run_id": run_id,
        "reason": reason,
        "granted_at": now,
        "expires_at": now + longest_seconds(spec),
    }
    connection.execute(requests.insert().values(row))
    _record(connection, request, "granted", reason, train_run_id=run_id)
    return RetrainTicket(model=spec.name, granted=True, train_run_id=run_id, reason=reason)


def _refuse(connection: sa.Connection, request: RetrainRequest, reason: str) -> RetrainTicket:
    _record(connection, request, "refused", reason, train_run_id=None)
    return RetrainTicket(model=request.spec.name, granted=False, train_run_id=None, reason=reason)


def _record(
    connection: sa.Connection, request: RetrainRequest, after: str, why: str, train_run_id: str | None
) -> None:
    evidence: dict[str, Any] = {
        "step_key": request.context.step_key,
        "asked_for": request.reason,
        "drift_decision": request.decision.ledger_hash if request.decision else None,
        "train_run_id": train_run_id,
    }
    entries.append(
        connection,
        model=request.spec.name,
        actor=request.context.actor,
        action=Action.RETRAIN,
        before=None,
        after=after,
        why=why,
        evidence=evidence,
    )


def _expire(connection: sa.Connection, model: str, now: float) -> None:
    why = "nothing was heard of the training within the longest time that it may take"
    late = connection.execute(
        requests.select().where(requests.c.open_model == model, requests.c.expires_at <= now)
    ).first()
    if _close(connection, requests.c.expires_at <= now, model, now, why) and late is not None:
        entries.append(
            connection,
            model=model,
            actor="perennial:retrain",
            action=Action.RETRAIN,
            before=late.train_run_id,
            after="expired",
            why=f"{late.train_run_id}: {why}",
            evidence={
                "train_run_id": late.train_run_id,
                "granted_at": late.granted_at,
                "expires_at": late.expires_at,
            },
        )


def _close(connection: sa.Connection, which: sa.ColumnElement[bool], model: str, now: float, why: str) -> int:
    closed = connection.execute(
        requests.update()
        .where(requests.c.open_model == model, which)
        .values(open_model=None, closed_at=now, closed_why=why)
    )
    return int(closed.rowcount)


def _ago(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
