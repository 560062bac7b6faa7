"""Has the loop been silent for too long? A pure function of its newest beat and of who has watched it."""

from datetime import datetime, timedelta

from tasks.contracts import Told, Trouble

AHEAD = timedelta(minutes=1)
"""Clocks of two machines may be so far apart."""

MODEL, SUBJECT = "perennial", "loop"
"""How a message names it: it is about no model, and about every one."""

UNTOLD = "Nothing is settled with the ledger meanwhile, and no alert is sent."
NEXT = (
    "Look what runs: make status, or perennial status. See the logs of the scheduler and of the workers, "
    "whether the disk is full, and whether the DAG reconcile_ledger is paused."
)


def silence(
    beat: datetime | None,
    watched_since: datetime,
    now: datetime,
    allowed: timedelta,
    *,
    told_since: datetime | None = None,
    unreadable: str | None = None,
) -> Trouble | None:
    """What is to be told of a loop that is silent; None while it is not.

    The time before somebody watched does not count, in which the platform, or the machine, was off. A silence
    that was told ends with a beat, and with nothing else. A time that is yet to come is of a clock that was
    wrong, and says nothing: else a loop that stops when the clock is set back would not be missed until then,
    and one that is back would be called silent.

    Args:
        beat: When the loop was last at work, as far as is known; None where it never was.
        watched_since: Since when it is watched without a pause.
        allowed: How long it may be silent.
        told_since: Since when people know it to be silent; None where they do not.
        unreadable: Why its beats cannot be read now, a sentence.
    """
    if beat is not None and beat - now > AHEAD:
        beat = None
    if told_since is not None and told_since - now > AHEAD:
        told_since = now if beat is None else None
    lasts = told_since is not None and (beat is None or beat <= told_since)
    if not lasts and now - max(beat or watched_since, watched_since) <= allowed:
        return None
    seen = f"It was last at work at {beat:%Y-%m-%d %H:%M} UTC." if beat else "It has not been at work yet."
    why = [
        f"{UNTOLD} Where the scheduler or the workers are gone, nothing is trained or checked, either.",
        seen,
    ]
    if unreadable:
        why.append(f"Whether it is at work now cannot be read. {unreadable}")
    return Trouble(
        model=MODEL,
        subject=SUBJECT,
        reason="silent_loop",
        since=told_since if lasts and told_since else beat or watched_since,
        version=None,
        why=" ".join(why),
        next_step=NEXT,
    )


def told_before(since: datetime, told_at: datetime) -> Told:
    """What a channel was told of a silence."""
    return Told(
        model=MODEL,
        subject=SUBJECT,
        reason="silent_loop",
        since=since,
        why=UNTOLD,
        kinds=(),
        told_at=told_at,
        is_momentary=False,
    )
