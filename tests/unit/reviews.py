"""Reviews to land, ingest, freeze and validate in tests."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from upath import UPath

from tasks.contracts import IngestRequest, IngestResult, StepContext
from tasks.data.ingest import ingest
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec, table_of
from tasks.stores import files
from tests.conftest import PROJECT

SPEC = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
TABLE = table_of(SPEC)
DAY = datetime(2026, 1, 5, tzinfo=UTC)


def review(number: int, **changes: Any) -> dict[str, Any]:
    """A good row, with some values changed."""
    written_at = (DAY + timedelta(minutes=number)).isoformat()
    row = {
        "review_id": f"r{number}",
        "written_at": written_at,
        "source": "imdb",
        "text": f"Film {number}.",
        "label": number % 2,
    }
    return {**row, **changes}


def reviews(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [review(number) for number in range(first, first + count)]


def as_table(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as the lake holds them."""
    typed = [
        {**row, "written_at": row["written_at"] and datetime.fromisoformat(row["written_at"])} for row in rows
    ]
    types = [("review_id", pa.string()), ("written_at", pa.timestamp("us", "UTC")), ("source", pa.string())]
    return pa.Table.from_pylist(typed, pa.schema([*types, ("text", pa.string()), ("label", pa.int64())]))


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def landing_folder() -> UPath:
    """Where reviews land: a folder, or a place of the object store that the settings name."""
    return files.at(settings().landing, "reviews")


def land(home: Path, name: str, content: bytes) -> UPath:
    path = landing_folder() / name
    files.make_parent(path)
    path.write_bytes(content)
    if files.is_local(path):
        os.utime(path.path, (0, 0))  # it has lain there for a while
    return path


def context(home: Path, step: str) -> StepContext:
    return StepContext(actor=f"test:{step}", step_key=step, work_url=str(files.at(settings().runs, step)))


def ingested(
    home: Path, step: str = "ingest", files: tuple[str, ...] | None = None, **table: Any
) -> IngestResult:
    """Ingest what waits, some fields of the table's specification changed."""
    wanted = TableSpec.model_validate(TABLE.model_dump() | table)
    return ingest(IngestRequest(context=context(home, step), table=wanted, files=files))
