"""Say which senders' labelled requests are held at the door, as signals of a drift check."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from tasks.contracts import HeldCount, Signal

MANY_ROWS = 100
"""So many rows of a sender in a window, for one reason, that nobody has decided on, are an alarm."""
NOBODY = "requests without a token"

Span = tuple[datetime, datetime]


def look(held: Iterable[HeldCount], span: Span) -> tuple[Signal, ...]:
    """A signal for each sender and reason, of the days that the window [start, end) touches; largest first.

    What a person has released is not told. What was confirmed as bad is a note, and so is what is held of few
    rows.

    Args:
        held: `tasks.data.door.held.counts` of the model.
    """
    rows: defaultdict[tuple[str, str], list[HeldCount]] = defaultdict(list)
    for count in held:
        touches = count.day < span[1] and count.day + timedelta(days=1) > span[0]
        if touches and count.state != "released":
            for reason in count.reason.split(","):
                rows[count.sender or NOBODY, reason].append(count)
    signals = [_signal(subject, reason, counts) for (subject, reason), counts in rows.items()]
    return tuple(sorted(signals, key=lambda each: (-(each.value or 0), each.subject, each.reason)))


def _signal(subject: str, reason: str, counts: list[HeldCount]) -> Signal:
    waiting = sum(count.rows for count in counts if count.state == "held")
    rows = sum(count.rows for count in counts)
    asks = " Release or confirm them: DAG decide_sender_model." if waiting else " A person confirmed that."
    return Signal(
        question="validity",
        reason=reason,
        subject=subject,
        level="alarm" if waiting >= MANY_ROWS else "note",
        value=float(rows),
        threshold=float(MANY_ROWS),
        unit="rows",
        since=min(count.day for count in counts),
        why=f"{rows} labelled rows of {subject} are kept out of training ({reason}): {counts[0].why}{asks}",
    )
