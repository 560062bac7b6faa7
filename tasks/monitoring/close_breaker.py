"""Close a model's circuit breaker, which opens by itself when retrain after retrain comes to nothing.

It is open while so many retrains in a row, as `monitor.breaker_after` says, had a candidate that was refused
or did not help. A person looks why, and says so: the count begins anew.
"""

import sqlalchemy as sa

from tasks.contracts import Action, CloseBreakerRequest, ClosedBreaker, LedgerEntry
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring.memory import Retrain, failures, sort
from tasks.stores.database import engine

KINDS = (Action.RETRAIN, Action.GATE, Action.EFFECT, Action.BREAKER)


def close_breaker(request: CloseBreakerRequest) -> ClosedBreaker:
    """Let a model be retrained again, once however often the step is tried.

    Raises:
        InvalidRequest: No retrain has come to nothing since the last closing: there is nothing to close.
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    entry = entries.in_turn(lambda connection: _close(connection, request))
    trainings = tuple(entry.evidence["trainings"])
    return ClosedBreaker(
        model=request.model, failures=len(trainings), trainings=trainings, ledger_hash=entry.entry_hash
    )


def came_to_nothing(model: str) -> list[Retrain]:
    """The retrains in a row that came to nothing since the breaker was closed, the newest first."""
    with engine().connect() as connection:
        return failures(sort(entries.newest_first(connection, model, *KINDS)))


def _close(connection: sa.Connection, request: CloseBreakerRequest) -> LedgerEntry:
    model, key = request.model, request.context.step_key
    record = sort(entries.newest_first(connection, model, *KINDS))
    if record.closed is not None and record.closed.evidence["step_key"] == key:
        return record.closed
    found = failures(record)
    if not found:
        raise InvalidRequest(
            f"The breaker of {model!r} is closed: no retrain has come to nothing since it was closed last, "
            "or ever. Nothing is to be done."
        )
    return entries.append(
        connection,
        model=model,
        actor=request.context.actor,
        action=Action.BREAKER,
        before=found[0].granted.entry_hash,
        after="closed",
        why=request.reason,
        evidence={"trainings": [each.run_id for each in found], "step_key": key},
    )
