"""The batches that joined a model's tables: what a person chooses from who marks one as bad."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tasks.ledger.newest import last_words

MOST_BATCHES = 40
"""So many are offered, the newest; older ones are typed."""
LOOKED_AT = 2 * MOST_BATCHES
"""Of each table so many of its newest files: of some no row joined, and some were recalled since."""


@dataclass(frozen=True)
class Joined:
    """A file of which rows joined a table.

    Attributes:
        at: When that was decided.
        rows: That joined.
    """

    table: str
    batch_id: str
    file: str
    rows: int
    at: datetime

    @property
    def told(self) -> str:
        """What a person knows it by."""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{self.at:%Y-%m-%d %H:%M} UTC, {self.file}, {rows} of {self.table}"


def joined(tables: Iterable[str]) -> tuple[Joined, ...]:
    """The newest batches that joined these tables and were not recalled, newest first.

    Raises:
        LedgerBroken: An entry cannot be read any more.
    """
    found = [each for table in dict.fromkeys(tables) for each in _of(table)]
    return tuple(sorted(found, key=lambda each: each.at, reverse=True)[:MOST_BATCHES])


def _of(table: str) -> Iterator[Joined]:
    left_out = {entry.before for entry in last_words(table, Action.RECALL)}
    for entry in entries.newest_of(table, [Action.INGEST], LOOKED_AT):
        batch = _joined(entry)
        if batch is not None and batch.batch_id not in left_out:
            left_out.add(batch.batch_id)  # a file that was landed again is the same batch
            yield batch


def _joined(entry: LedgerEntry) -> Joined | None:
    """What joined by an entry; None where nothing did, or an entry of another Perennial does not say it."""
    told = entry.evidence
    batch, rows = told.get("batch_id"), told.get("published_rows")
    if not batch or not isinstance(rows, int) or not rows:
        return None
    return Joined(entry.model, str(batch), str(told.get("file", "")), rows, entry.at)
