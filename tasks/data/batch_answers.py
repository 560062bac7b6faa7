"""Rows of the lake as a batch of requests, and the answers as rows: plain data in, plain data out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

PREDICTED = pa.schema(
    [
        ("job", pa.string()),
        ("source_row", pa.int64()),
        ("prediction_id", pa.string()),
        ("model_version", pa.string()),
        ("run_id", pa.string()),
        ("prediction", pa.string()),
        ("score", pa.float64()),
        ("error", pa.string()),
    ]
)
"""The columns that stand beside those of the source. `source_row` counts the source's rows from 0;
`prediction` is JSON; `error` is null where there is a prediction, and else begins with the HTTP status.
"""

AWAY = frozenset({503, 504})
"""Statuses that say nothing of the row: another try may answer it."""

Answer = Mapping[str, Any]


def as_line(row: Mapping[str, Any]) -> bytes:
    """An instance as one line of JSON: times as ISO text, no NaN."""
    return json.dumps({name: _plain(value) for name, value in row.items()}, default=_as_json).encode()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def _as_json(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else str(value)


def requests_of(lines: Sequence[bytes], most_rows: int, most_bytes: int) -> Iterator[list[bytes]]:
    """The lines in their order, as bodies of at most so many lines and bytes; a larger line is alone."""
    body: list[bytes] = []
    size = 0
    for line in lines:
        if body and (len(body) == most_rows or size + len(line) + 1 > most_bytes):
            yield body
            body, size = [], 0
        body.append(line)
        size += len(line) + 1
    if body:
        yield body


def answers_of(text: bytes, rows: int) -> list[Answer] | None:
    """The answer to each of so many instances, in their order; None where the text is not whole, as when the
    connection broke: only the last line says that all of it came, and which version answered.
    """
    lines = [line for line in text.split(b"\n") if line.strip()]
    try:
        told = [json.loads(line) for line in lines]
    except ValueError:
        return None
    if not told or not told[-1].get("done") or [each.get("index") for each in told[:-1]] != [*range(rows)]:
        return None
    *answers, end = told
    version = {"model_version": end["model_version"], "run_id": end["run_id"]}
    return [{**version, **each} for each in answers]


def as_rows(source: pa.Table, answers: Sequence[Answer], job: str, first: int) -> pa.Table:
    """The rows of the source with what was answered to each; the first of them is number `first`."""
    rows = [_row(each) | {"job": job, "source_row": first + number} for number, each in enumerate(answers)]
    told = pa.Table.from_pylist(rows, schema=PREDICTED)
    return pa.table({name: table.column(name) for table in (told, source) for name in table.column_names})


def _row(answer: Answer) -> dict[str, Any]:
    if "error" in answer:
        return {"error": f"{answer['status']}: {answer['error']}"}
    named = ("prediction_id", "model_version", "run_id", "score")
    return {name: answer.get(name) for name in named} | {"prediction": json.dumps(answer["prediction"])}
