"""The commits of a table: when each was made, which batch it appended, and when the next one is."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, NamedTuple

from deltalake import DeltaTable

INGESTED_AT = "ingested_at"
"""What a commit of rows says: the time that they have."""

RECENT = 10
"""So many commits are looked at for the latest time: writers at the same time do not see each other's."""


one_at_a_time = threading.Lock()
"""Held while a history is read and while rows are written. delta-rs (1.6) keeps Python's own lock for as
long as it reads a history from an object store; its workers, one for each core, need that lock for the rows
that they take from Python. With all of them waiting for it, no answer of the store is heard any more, and no
thread of the process ever goes on."""


class Commit(NamedTuple):
    """One version of a table.

    Attributes:
        at: By the commit's own timestamp (milliseconds, UTC); where a writer's clock ran behind, that of the
            commit before, so that versions and times have one order.
        batch_id: What it appended; None for a commit without rows, and for those of an earlier Perennial.
        file, step_key: The landed file that the batch came from, and the step that ingested it.
    """

    version: int
    at: datetime
    batch_id: str | None
    file: str | None
    step_key: str | None


def commits_of(delta: DeltaTable) -> tuple[Commit, ...]:
    """Every commit, oldest first."""
    found = sorted(_history(delta), key=lambda commit: int(commit["version"]))
    times = accumulate((int(commit["timestamp"]) for commit in found), max)
    return tuple(
        Commit(
            version=int(commit["version"]),
            at=datetime.fromtimestamp(milliseconds / 1000, UTC),
            **{name: commit.get(name) for name in ("batch_id", "file", "step_key")},
        )
        for commit, milliseconds in zip(found, times, strict=True)
    )


def next_time(delta: DeltaTable) -> datetime:
    """The time of the rows that join the table next: now, and later than every row and commit that is there.

    A machine's clock may be set back. Of a key the row with the latest time counts, so that a later file
    would lose to an earlier one.
    """
    found = _history(delta, RECENT)
    if not any(INGESTED_AT in commit for commit in found):  # of an earlier Perennial, or without rows
        found = _history(delta)
    # A commit's own time is cut off to milliseconds.
    ends = [datetime.fromtimestamp((int(commit["timestamp"]) + 1) / 1000, UTC) for commit in found]
    rows = [datetime.fromisoformat(commit[INGESTED_AT]) for commit in found if INGESTED_AT in commit]
    return max(datetime.now(UTC), max([*ends, *rows]) + timedelta(microseconds=1))


def _history(delta: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
    with one_at_a_time:
        found: list[dict[str, Any]] = delta.history(limit)
    return found
