"""What became of each file of an ingest, kept in the step's folder as it is decided.

A retry finds there what its earlier tries settled; and where every try failed, the tasks behind the ingest
still learn what was decided before.
"""

import hashlib
from collections.abc import Sequence

from tasks.contracts import FileOutcome, IngestResult
from tasks.stores.files import at, remove, write_text


class Outcomes:
    """The outcomes of one step, one file for each name and content: what is decided again adds nothing.

    Args:
        work_url: The step's folder.
    """

    def __init__(self, work_url: str) -> None:
        self.work_url = work_url

    def all(self) -> tuple[FileOutcome, ...]:
        """Every outcome, by the name of its file."""
        folder = at(self.work_url, "outcomes")
        paths = sorted(folder.glob("*.json")) if folder.exists() else []
        found = (FileOutcome.model_validate_json(path.read_text(encoding="utf-8")) for path in paths)
        return tuple(sorted(found, key=lambda outcome: outcome.file))

    def record(self, outcome: FileOutcome) -> None:
        write_text(self._url(outcome), text=outcome.model_dump_json(indent=2))

    def forget(self, outcome: FileOutcome) -> None:
        remove(at(self._url(outcome)))

    def _url(self, outcome: FileOutcome) -> str:
        name = hashlib.sha256(f"{outcome.batch_id} {outcome.file}".encode()).hexdigest()[:32]
        return str(at(self.work_url, "outcomes", f"{name}.json"))


def result_of(table: str, outcomes: Sequence[FileOutcome]) -> IngestResult:
    """The result of an ingest that decided this much."""
    versions = [outcome.table_version for outcome in outcomes if outcome.table_version is not None]
    return IngestResult(
        table=table,
        table_version=max(versions, default=None),
        files=tuple(outcomes),
        published_rows=sum(outcome.published_rows for outcome in outcomes),
        quarantined_rows=sum(outcome.quarantined_rows for outcome in outcomes),
    )
