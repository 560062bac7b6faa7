"""Grant or refuse a retrain request: one open request a model, a pause after each, for those that a drift
decision asks for a budget and a circuit breaker, every answer in the ledger.

The lock is a row of the database, held from the grant until the request is closed (`closing`). A ticket whose
request is closed starts nothing: the lock may be another's by then.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tasks.contracts import Action, Approval, LedgerEntry, RetrainRequest, RetrainTicket
from tasks.ledger import entries, precedent
from tasks.ledger.incidents import open_incident, why_nothing_is_trained
from tasks.monitoring.answers import SECONDS_APART, why_not_granted
from tasks.monitoring.closing import ACTOR, NOT_STARTED, expire, longest_seconds
from tasks.monitoring.cost import record_ended
from tasks.monitoring.memory import remember
from tasks.monitoring.watch import Memory, recorded_rules
from tasks.spec import PipelineSpec
from tasks.stores.database import engine
from tasks.stores.database import retrain_requests as requests

NO_REASON = "no reason was given."


def retrain(request: RetrainRequest) -> RetrainTicket:
    """Answer a retrain request; a step that is tried again gets the ticket that it got before, while that
    request is open. Where it is closed, the step asks anew.

    Raises:
        InvalidRequest: The drift decision does not say `retrain`, is another model's, or is not in the
            ledger as it is.
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    if request.decision is not None:
        approved = request.approval is not None
        precedent.require_drift_decision(request.decision, request.spec.name, was_asked=approved)
    return entries.in_turn(lambda connection: _answer(connection, request, datetime.now(UTC)))


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


def _answer(connection: sa.Connection, request: RetrainRequest, now: datetime) -> RetrainTicket:
    """One try, in one transaction.

    Its first statement writes, so that on SQLite the tries come one after the other.
    """
    model = request.spec.name
    expire(connection, request.spec, now)
    record_ended(connection, ACTOR, model)
    key = request.context.step_key
    mine = connection.execute(
        requests.select().where(requests.c.model == model, requests.c.step_key == key)
    ).all()
    opened = connection.execute(requests.select().where(requests.c.open_model == model)).first()
    # Before what hinders a start: who has the ticket closes the request then, and nobody else does.
    if opened is not None and opened.step_key == key:
        return RetrainTicket(
            model=model, granted=True, train_run_id=opened.train_run_id, reason=opened.reason
        )
    if request.hindrance:
        return _refuse(connection, request, request.hindrance)
    if (refusal := _refusal(connection, request, opened, now)) is not None:
        return _refuse(connection, request, refusal)
    counted = _counted(connection, request, now)
    if counted and (refusal := why_not_granted(**counted)) is not None:
        return _refuse(connection, request, refusal, counted)
    return _grant(connection, request, _request_id(model, key, len(mine)), now, counted)


def _refusal(
    connection: sa.Connection, request: RetrainRequest, opened: sa.Row[Any] | None, now: datetime
) -> str | None:
    """Why nobody is granted a training now, or why a person does not want this one; None where neither."""
    if (incident := open_incident(connection, request.spec.name)) is not None:
        return why_nothing_is_trained(incident)
    if request.approval is not None and not request.approval.approved:
        return _not_approved(request.approval)
    return _not_ended(opened, now) if opened is not None else _pause(connection, request.spec, now)


def _counted(connection: sa.Connection, request: RetrainRequest, now: datetime) -> dict[str, Any]:
    """What the breaker and the budget are held against: others may have been granted since the decision.

    Nothing of a request that no drift decision makes, which both do not count.
    """
    if request.decision is None:
        return {}
    memory = remember(connection, request.spec.name, request.decision.champion_run_id, now=now)
    # The pause is held against the requests. Without it a step that is refused twice leaves one entry.
    timeless = replace(memory, seconds_since_grant=None)
    return {"new_rows": request.decision.new_rows, "memory": timeless, "rules": request.spec.monitor}


def replay(entry: LedgerEntry) -> str | None:
    """Why a retrain that a drift decision asked for is refused by breaker, budget or new rows, once more from
    nothing but its ledger entry's evidence; None where it is granted.
    """
    memory, rules = Memory(**entry.evidence["memory"]), recorded_rules(entry.evidence["rules"])
    return why_not_granted(entry.evidence["new_rows"], memory, rules)


def _not_approved(approval: Approval) -> str:
    if approval.by is None:
        return "A person was asked whether the model is trained, and nobody answered in time: nothing is."
    return f"{approval.by} was asked whether the model is trained, and said no: {approval.why or NO_REASON}"


def _request_id(model: str, step_key: str, granted_before: int) -> str:
    """Another one each time that a step is granted a training: Airflow has the run of the time before."""
    again = f"\n{granted_before}" if granted_before else ""
    return hashlib.sha256(f"{model}\n{step_key}{again}".encode()).hexdigest()[:16]


def _not_ended(opened: sa.Row[Any], now: datetime) -> str:
    since = max(timedelta(), now - opened.granted_at)
    return (
        f"The training {opened.train_run_id}, granted {_ago(since)} ago, has not ended. "
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
    since = max(timedelta(), now - last.granted_at)
    left = timedelta(seconds=spec.monitor.cooldown_seconds) - since
    if last.granted_at - now > timedelta(seconds=SECONDS_APART):
        return (
            f"By this machine's clock the last retrain ({last.train_run_id}) was granted in the future, at "
            f"{last.granted_at.isoformat()}: the clock was set back. Set it right and ask again."
        )
    if left > timedelta():
        return (
            f"The last retrain ({last.train_run_id}) was granted {_ago(since)} ago, and "
            f"monitor.cooldown_seconds is {spec.monitor.cooldown_seconds:g}: ask again in {_ago(left)}."
        )
    return None


def _grant(
    connection: sa.Connection,
    request: RetrainRequest,
    request_id: str,
    now: datetime,
    counted: dict[str, Any],
) -> RetrainTicket:
    """Write the request and its ledger entry together: both
    are there before anybody learns of the ticket, or neither.
    """
    spec, reason = request.spec, _reason(request)
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
    _record(connection, request, "granted", reason, {"train_run_id": run_id, **counted})
    return RetrainTicket(model=spec.name, granted=True, train_run_id=run_id, reason=reason)


def _reason(request: RetrainRequest) -> str:
    """Why the training is granted: what the check found, and who agreed."""
    if request.decision is None:
        return request.reason
    said = request.approval
    agreed = f" {said.by} agreed: {said.why or NO_REASON}" if said else ""
    return request.decision.why + agreed


def _refuse(
    connection: sa.Connection, request: RetrainRequest, reason: str, counted: dict[str, Any] | None = None
) -> RetrainTicket:
    _record(connection, request, "refused", reason, {"train_run_id": None, **(counted or {})})
    return RetrainTicket(model=request.spec.name, granted=False, train_run_id=None, reason=reason)


def _record(
    connection: sa.Connection, request: RetrainRequest, after: str, why: str, beside: dict[str, Any]
) -> None:
    decision = request.decision
    evidence: dict[str, Any] = {
        "step_key": request.context.step_key,
        "asked_for": request.reason,
        "drift_decision": decision.ledger_hash if decision else None,
        "follows": decision.follows if decision else None,
        "approval": request.approval,
        **beside,
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


def _ago(time: timedelta) -> str:
    seconds = time.total_seconds()
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
