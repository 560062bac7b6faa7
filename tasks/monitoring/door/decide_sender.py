"""A person's word on what is held of a sender: release it to be trained on, or confirm that it never is."""

from collections import Counter
from datetime import UTC, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import Action, DecideSenderRequest, HeldState, SenderDecision
from tasks.contracts.door import in_words
from tasks.data.door import held
from tasks.data.door.told import held_name
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.stores.lake import Lake

AFTER: dict[str, HeldState] = {"release": "released", "confirm": "confirmed"}


def decide_sender(request: DecideSenderRequest) -> SenderDecision:
    """Record the decision on all that is held of the sender by now; the next `collect` goes by it.

    What was decided can be decided otherwise later; rows that have joined their table stay in it.

    Raises:
        InvalidRequest: Nothing of this sender, of this day or for this reason, was ever held.
        LedgerBroken: Nothing can be recorded.
    """
    lake, after = Lake(), AFTER[request.decision]
    until = held.newest_number(lake, request.model)
    known = held.by_reason(lake, request.model)
    # What another collect has held meanwhile is not decided on, so it is not counted either.
    known = known.filter(pc.less_equal(known["number"], until))
    asked = _asked(request, known)
    rows, still = _rows(known.filter(asked)), _still_held(lake, request, known, asked)
    name = held_name(request.sender or None)
    if set(known.filter(asked)["state"].to_pylist()) == {after}:
        decided_by = known.filter(asked)["decided_by"][-1].as_py()
        return _decision(request, rows, sum(still.values()), decided_by)
    decided: dict[str, Any] = {
        "sender": request.sender or None,
        "day": _day(request),
        "held_for": request.held_for,
        "until_number": until,
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
            "rows": rows,
            "still_held": sum(still.values()),
            "still_held_for": still,
            "step_key": request.context.step_key,
        },
    )
    held.decide(lake, request.model, decided, after, entry)
    return _decision(request, rows, sum(still.values()), entry.entry_hash)


def _decision(request: DecideSenderRequest, rows: int, still_held: int, ledger_hash: str) -> SenderDecision:
    return SenderDecision(
        model=request.model,
        sender=request.sender,
        after=AFTER[request.decision],
        rows=rows,
        still_held=still_held,
        ledger_hash=ledger_hash,
    )


def _asked(request: DecideSenderRequest, known: pa.Table) -> pa.ChunkedArray:
    """Which requests and reasons the decision is about."""
    asked, day = _of_sender(request, known), _day(request)
    if day is not None:
        asked = pc.and_(asked, pc.equal(known["day"], pa.scalar(day, known["day"].type)))
    if request.held_for is not None:
        asked = pc.and_(asked, pc.equal(known["held_for"], request.held_for))
    if not pc.any(asked).as_py():
        raise InvalidRequest(_nothing(request, known))
    return asked


def _nothing(request: DecideSenderRequest, known: pa.Table) -> str:
    found = zip(known["sender"].to_pylist(), known["held_for"].to_pylist(), strict=True)
    names = sorted({f"{in_words(held_name(sender))} for {reason}" for sender, reason in found})
    asked = in_words(held_name(request.sender or None)) + (f" of {request.day}" if request.day else "")
    asked += f" for {request.held_for}" if request.held_for else ""
    named = f"Held are: {', '.join(names)}." if names else "Nothing is held."
    return f"Nothing of {asked} of {request.model!r} was ever held. {named}"


def _still_held(
    lake: Lake, request: DecideSenderRequest, known: pa.Table, asked: pa.ChunkedArray
) -> dict[str, int]:
    """How many of the sender's requests wait after the decision, by the reasons that each is held for."""
    own = pc.if_else(asked, AFTER[request.decision], known["state"])
    after = known.set_column(known.schema.get_field_index("state"), "state", own)
    waiting = held.together(lake, after.filter(_of_sender(request, known)))
    return dict(Counter(waiting.filter(pc.equal(waiting["state"], "held"))["reason"].to_pylist()))


def _rows(about: pa.Table) -> int:
    return len(pc.unique(about["prediction_id"]))


def _of_sender(request: DecideSenderRequest, known: pa.Table) -> pa.ChunkedArray:
    if not request.sender:
        return pc.is_null(known["sender"])
    return pc.fill_null(pc.equal(known["sender"], request.sender), fill_value=False)


def _day(request: DecideSenderRequest) -> datetime | None:
    return None if request.day is None else datetime.combine(request.day, time(), UTC)
