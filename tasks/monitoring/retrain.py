"""Grant or refuse a retrain request: one open request a
model, a pause after each, every answer in the ledger.

The lock is a row of the database, held from the grant until `close` says that the training has ended, however
it ended. A ticket whose request is closed starts nothing: the lock may be another's by then. A training
that is killed with everything around it never says so: its request expires after the
longest time that the training, all its retries and the steps around it may take.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tasks.contracts import Action, RetrainRequest, RetrainTicket
from tasks.ledger import entries, precedent
from tasks.ledger.incidents import open_incident, why_nothing_is_trained
from tasks.spec import PipelineSpec
from tasks.stores.database import engine
from tasks.stores.database import retrain_requests as requests

AROUND_TRAINING_SECONDS = 3600.0

NOT_STARTED = "not started"


def retrain(request: RetrainRequest) -> RetrainTicket:
    """Answer a retrain request; a step that is tried again gets the ticket that it got before, while that
    request is open. Where it is closed, the step asks anew.

    Raises:
        InvalidRequest: The drift decision does not say `retrain`, is another model's, or is not in the
            ledger as it is.
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    if request.decision is not None:
        precedent.require_drift_decision(request.decision, request.spec.name)
    return entries.in_turn(lambda connection: _answer(connection, request, datetime.now(UTC)))


def close(model: str, train_run_id: str, why: str = "the training run ended") -> bool:
    """Say that a training ended, so that the next request may be granted after the pause.

    Returns:
        Whether an open request was closed; False for a run that no request had started, or that is closed
        already.
    """
    with engine().begin() as connection:
        return _close(connection, requests.c.train_run_id == train_run_id, model, datetime.now(UTC), why) > 0


def close_unstarted(model: str, train_run_id: str, why: str, actor: str) -> bool:
    """Say that a granted training was not started, so that the next request need not wait for the pause.

    Returns:
        Whether its request was open.

    Raises:
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    return entries.in_turn(lambda connection: _close_unstarted(connection, model, train_run_id, why, actor))


def is_open(model: str, train_run_id: str) -> bool:
    """Whether the request that granted this training still holds the model's lock."""
    query = requests.select().where(requests.c.open_model == model, requests.c.train_run_id == train_run_id)
    with engine().connect() as connection:
        return connection.execute(query).first() is not None


@dataclass(frozen=True)
class OpenRequest:
    """A request whose training has not ended."""

    model: str
    train_run_id: str
    reason: str
    granted_at: datetime
    expires_at: datetime


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


def _answer(connection: sa.Connection, request: RetrainRequest, now: datetime) -> RetrainTicket:
    """One try, in one transaction.

    Its first statement writes, so that on SQLite the tries come one after the other.
    """
    model = request.spec.name
    _expire(connection, model, now)
    key = request.context.step_key
    mine = connection.execute(
        requests.select().where(requests.c.model == model, requests.c.step_key == key)
    ).all()
    opened = connection.execute(requests.select().where(requests.c.open_model == model)).first()
    if request.hindrance:
        return _refuse(connection, request, request.hindrance)
    if opened is not None and opened.step_key == key:
        return RetrainTicket(
            model=model, granted=True, train_run_id=opened.train_run_id, reason=opened.reason
        )
    if (incident := open_incident(connection, model)) is not None:
        return _refuse(connection, request, why_nothing_is_trained(incident))
    refusal = _not_ended(opened, now) if opened is not None else _pause(connection, request.spec, now)
    if refusal is not None:
        return _refuse(connection, request, refusal)
    return _grant(connection, request, _request_id(model, key, len(mine)), now)


def _request_id(model: str, step_key: str, granted_before: int) -> str:
    """Another one each time that a step is granted a training: Airflow has the run of the time before."""
    again = f"\n{granted_before}" if granted_before else ""
    return hashlib.sha256(f"{model}\n{step_key}{again}".encode()).hexdigest()[:16]


def _not_ended(opened: sa.Row[Any], now: datetime) -> str:
    return (
        f"The training {opened.train_run_id}, granted {_ago(now - opened.granted_at)} ago, has not ended. "
        "One at a time: ask again when it has."
    )


def _pause(connection: sa.Connection, spec: PipelineSpec, now: datetime) -> str | None:
    """Why the last training is too near; None where it is not. One that was never started does not count."""
    started = sa.func.coalesce(requests.c.closed_why, "").not_like(f"{NOT_STARTED}%")
    last = connection.execute(
        requests.select()
        .where(requests.c.model == spec.name, started)
        .order_by(requests.c.granted_at.desc())
        .limit(1)
    ).first()
    if last is None:
        return None
    left = last.granted_at + timedelta(seconds=spec.monitor.cooldown_seconds) - now
    if left > timedelta():
        return (
            f"The last retrain ({last.train_run_id}) was granted {_ago(now - last.granted_at)} ago, and "
            f"monitor.cooldown_seconds is {spec.monitor.cooldown_seconds:g}: ask again in {_ago(left)}."
        )
    return None


def _grant(
    connection: sa.Connection, request: RetrainRequest, request_id: str, now: datetime
) -> RetrainTicket:
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
        "expires_at": now + timedelta(seconds=longest_seconds(spec)),
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


def _expire(connection: sa.Connection, model: str, now: datetime) -> None:
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


def _ago(time: timedelta) -> str:
    seconds = time.total_seconds()
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
