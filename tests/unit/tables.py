"""Small tables of any columns, with a suite of any expectations, and what lands at their door."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from tasks.contracts import FileOutcome, IngestRequest, IngestResult, StepContext
from tasks.data.ingest import ingest
from tasks.settings import settings
from tasks.spec import TableSpec
from tasks.stores import files
from tasks.stores.lake import Lake
from tests.conftest import PROJECT

KEY_EXISTS = {"type": "expect_column_to_exist", "kwargs": {"column": "id"}}


class Door:
    """A table and its landing folder."""

    def __init__(
        self, home: Path, columns: dict[str, str], expectations: list[dict[str, Any]], **table: Any
    ) -> None:
        self.home = home
        self.spec = TableSpec.model_validate(
            {"table": "events", "key": "id", "suite": "events", "columns": columns, **table}
        )
        self.folder = files.at(settings().landing, "events")
        self.steps = 0
        suites = settings().suites / "expectations"
        suites.mkdir(parents=True, exist_ok=True)
        (suites / "events.json").write_text(json.dumps({"name": "events", "expectations": expectations}))

    def land(self, name: str, content: bytes | str) -> UPath:
        """Let a file have landed a while ago."""
        path = self.folder / name
        files.make_parent(path)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path.path, (0, 0))
        return path

    def ingest(self, *, named: tuple[str, ...] | None = None, **table: Any) -> IngestResult:
        """Ingest what waits, in a step of its own, some fields of the table changed."""
        self.steps += 1
        step = f"step {self.steps}"
        context = StepContext(actor="tests", step_key=step, work_url=str(files.at(settings().runs, step)))
        spec = TableSpec.model_validate(self.spec.model_dump() | table)
        return ingest(IngestRequest(context=context, table=spec, files=named))

    def outcome(self, **table: Any) -> FileOutcome:
        """Ingest the one file that waits."""
        (outcome,) = self.ingest(**table).files
        return outcome

    def rows(self, *columns: str) -> list[Any]:
        """What the table holds, in the order of its key: of one column the values, of more tuples."""
        found = Lake().query("SELECT * FROM events ORDER BY id", ["events"]).to_pylist()
        return [
            tuple(row[name] for name in columns) if len(columns) > 1 else row[columns[0]] for row in found
        ]

    def quarantined(self) -> dict[int, str]:
        """For each place in a file, what the row there broke."""
        rows = Lake().read("events__quarantine").to_pylist()
        return {row["row_number"]: row["expectation"] for row in rows}

    def waiting(self) -> list[str]:
        return sorted(entry.name for entry in files.entries(self.folder) if entry.is_file)

    def refused(self) -> dict[str, bytes]:
        """The content of each refused file; each has its reason beside it."""
        folder = self.folder / ".refused"
        names = {entry.name for entry in files.entries(folder)}
        kept = {name for name in names if not name.endswith(".reason.json")}
        assert names - kept == {f"{name}.reason.json" for name in kept}
        return {name: (folder / name).read_bytes() for name in kept}


MakeDoor = Callable[..., Door]


@pytest.fixture
def door(home: Path, monkeypatch: pytest.MonkeyPatch) -> MakeDoor:
    """Makes a table: `door(id="string", n="int64")`."""
    suites = home / "suites"
    suites.mkdir()
    configuration = PROJECT / "great_expectations" / "great_expectations.yml"
    (suites / "great_expectations.yml").write_text(configuration.read_text())
    monkeypatch.setenv("PERENNIAL_SUITES", str(suites))
    settings.cache_clear()

    def make(
        expectations: list[dict[str, Any]] | None = None, limits: dict[str, Any] | None = None, **columns: str
    ) -> Door:
        return Door(home, columns, expectations or [KEY_EXISTS], **(limits or {}))

    return make
