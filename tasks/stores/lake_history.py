"""The commits of a table: when each was made, and which batch it appended."""

from datetime import UTC, datetime
from itertools import accumulate
from typing import NamedTuple

from deltalake import DeltaTable


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
    found = sorted(delta.history(), key=lambda commit: int(commit["version"]))
    times = accumulate((int(commit["timestamp"]) for commit in found), max)
    return tuple(
        Commit(
            version=int(commit["version"]),
            at=datetime.fromtimestamp(milliseconds / 1000, UTC),
            **{name: commit.get(name) for name in ("batch_id", "file", "step_key")},
        )
        for commit, milliseconds in zip(found, times, strict=True)
    )
