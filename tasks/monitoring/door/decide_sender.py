"""A person's word on what is held of a sender: release it to be trained on, or confirm that it never is."""

from datetime import UTC, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import Action, DecideSenderRequest, HeldState, SenderDecision
from tasks.data.door import held
from tasks.data.door.judge import held_name
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.stores.lake import Lake

AFTER: dict[str, HeldState] = {"release": "released", "confirm": "confirmed"}


def decide_sender(request: DecideSenderRequest) -> SenderDecision:
    """Record the decision on all that is held of the sender by now; the next `collect` goes by it.

    What was decided can be decided otherwise later; rows that have joined their table stay in it.

    Raises:
        InvalidRequest: Nothing of this sender, or of this day, was ever held.
        LedgerBroken: Nothing can be recorded.
    """
    lake, after = Lake(), AFTER[request.decision]
    known = held.states(lake, request.model)
    about = _about(request, known)
    name = held_name(request.sender or None)
    if set(about["state"].to_pylist()) == {after}:
        last = [entry for entry in entries.history(request.model, [Action.DOOR]) if entry.before == name][-1]
        return _decision(request, after, len(about), last.entry_hash)
    decided: dict[str, Any] = {
        "sender": request.sender or None,
        "day": _day(request),
        "until_number": held.newest_number(lake, request.model),
    }
    entry = entries.record(
        model=request.model,
        actor=request.context.actor,
        action=Action.DOOR,
        before=name,
        after=after,
        why=request.reason,
        evidence={
            **decided,
            "rows": len(about),
            "still_held": _still_held(request, known) - about["state"].to_pylist().count("held"),
            "step_key": request.context.step_key,
        },
    )
    held.decide(lake, request.model, decided, after, entry)
    return _decision(request, after, len(about), entry.entry_hash)


def _decision(request: DecideSenderRequest, after: HeldState, rows: int, ledger_hash: str) -> SenderDecision:
    return SenderDecision(
        model=request.model, sender=request.sender, after=after, rows=rows, ledger_hash=ledger_hash
    )


def _about(request: DecideSenderRequest, known: pa.Table) -> pa.Table:
    """The requests that the decision is about."""
    own = known.filter(_of_sender(request, known))
    day = _day(request)
    found = own if day is None else own.filter(pc.equal(own["day"], pa.scalar(day, own["day"].type)))
    if not len(found):
        senders = {held_name(sender) for sender in pc.unique(known["sender"]).to_pylist()}
        named = f"Held are: {', '.join(sorted(senders))}." if senders else "Nothing is held."
        asked = held_name(request.sender or None) + (f" of {request.day}" if request.day else "")
        raise InvalidRequest(f"Nothing of {asked} of {request.model!r} was ever held. {named}")
    return found


def _still_held(request: DecideSenderRequest, known: pa.Table) -> int:
    own = known.filter(_of_sender(request, known))
    states: list[str] = own["state"].to_pylist()
    return states.count("held")


def _of_sender(request: DecideSenderRequest, known: pa.Table) -> pa.ChunkedArray:
    if not request.sender:
        return pc.is_null(known["sender"])
    return pc.fill_null(pc.equal(known["sender"], request.sender), fill_value=False)


def _day(request: DecideSenderRequest) -> datetime | None:
    return None if request.day is None else datetime.combine(request.day, time(), UTC)
