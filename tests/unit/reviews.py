"""Reviews to land, ingest, freeze and validate in tests."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.contracts import IngestResult
from tasks.ingest import ingest
from tasks.requests import IngestRequest, StepContext
from tasks.spec import PipelineSpec, table_of
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
    typed = [{**row, "written_at": row["written_at"] and datetime.fromisoformat(row["written_at"])} for row in rows]
    types = [("review_id", pa.string()), ("written_at", pa.timestamp("us", "UTC")), ("source", pa.string())]
    return pa.Table.from_pylist(typed, pa.schema([*types, ("text", pa.string()), ("label", pa.int64())]))


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def land(home: Path, name: str, content: bytes) -> Path:
    path = home / "landing" / "reviews" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def context(home: Path, step: str) -> StepContext:
    return StepContext(actor=f"test:{step}", step_key=step, work_url=str(home / "runs" / step))


def ingested(home: Path, step: str = "ingest", files: tuple[str, ...] | None = None) -> IngestResult:
    return ingest(IngestRequest(context=context(home, step), table=TABLE, files=files))
