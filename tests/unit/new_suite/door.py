"""What a proposal is worth: the files that the real ingest lets join the table that it describes."""

import shutil
from pathlib import Path

import yaml

from new_suite.__main__ import report
from new_suite.propose import propose
from tasks.contracts import FileOutcome, IngestRequest
from tasks.data.ingest import ingest
from tasks.settings import settings
from tasks.spec import TableSpec
from tests.unit.reviews import context


class Door:
    """A table as a sample proposes it: what is printed is pasted, and the suite is used as it lies."""

    def __init__(self, home: Path, sample: Path, table: str = "trips") -> None:
        self.home = home
        self.proposal = propose(table, str(sample))
        self.printed = report(self.proposal)
        self.table = TableSpec.model_validate(yaml.safe_load(self.printed)["data"])

    def land(self, file: Path) -> FileOutcome:
        """What becomes of a copy of the file."""
        folder = Path(settings().landing) / self.table.table
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
        request = IngestRequest(
            context=context(self.home, f"ingest-{file.name}"), table=self.table, files=(file.name,)
        )
        (outcome,) = ingest(request).files
        return outcome
