"""Has the loop been silent for too long? A pure function of its newest beat and of who has watched it."""

from datetime import datetime, timedelta

from tasks.contracts import Told, Trouble

MODEL, SUBJECT = "perennial", "loop"
"""How a message names it: it is about no model, and about every one."""

NEXT = (
    "Look what runs: make status, or perennial status. See the logs of the scheduler and of the workers, "
    "whether the machine's disk is full, and whether the DAG reconcile_ledger is paused."
)


def silence(
    beat: datetime | None,
    watched_since: datetime,
    now: datetime,
    allowed: timedelta,
    unreadable: str | None = None,
) -> Trouble | None:
    """What is to be told of a loop that is silent; None while it is not.

    The time before somebody watched does not count, in which the platform, or the machine, was off.

    Args:
        beat: When the loop was last at work, as far as is known; None where it never was.
        watched_since: Since when it is watched without a pause.
        unreadable: Why its beats cannot be read now.
    """
    if now - max(beat or watched_since, watched_since) <= allowed:
        return None
    seen = f"It was last at work at {_at(beat)}." if beat else "It has not been at work yet."
    return Trouble(
        model=MODEL,
        subject=SUBJECT,
        reason="silent_loop",
        since=beat or watched_since,
        version=None,
        why=f"Nothing is trained, released, watched or told meanwhile. {seen}{_why_unreadable(unreadable)}",
        next_step=NEXT,
    )


def told_before(since: datetime, told_at: datetime) -> Told:
    """What a channel was told of a silence."""
    return Told(
        model=MODEL,
        subject=SUBJECT,
        reason="silent_loop",
        since=since,
        why="The loop was silent; it is at work again.",
        kinds=(),
        told_at=told_at,
        is_momentary=False,
    )


def _why_unreadable(why: str | None) -> str:
    return f" Whether it is at work now cannot be read: {why}" if why else ""


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
