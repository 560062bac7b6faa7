"""Requests of a window as the gateway logged them, drawn by the hash of their ids."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from tasks.contracts import TrainingRun
from tasks.data.typed_values import from_python
from tasks.evaluation.preparation.replay import Sample, Shape
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake

MOST_REQUESTS = 200
COLUMNS = ("prediction_id", "request", "prediction", "score")


class Logged(NamedTuple):
    """A request that the champion answered."""

    prediction_id: str
    instance: dict[str, Any]
    prediction: Any
    score: float | None


def drawn(lake: Lake, spec: PipelineSpec, run: TrainingRun, span: tuple[datetime, datetime]) -> list[Logged]:
    """At most `MOST_REQUESTS` that the run's version answered in [start, end); the same each time."""
    table = f"{spec.name}__predictions"
    if not lake.exists(table):
        return []
    start, end = (f"TIMESTAMPTZ '{time.isoformat()}'" for time in span)
    rows = lake.read(
        table,
        columns=COLUMNS,
        where_sql=f"predicted_at >= {start} AND predicted_at < {end} AND run_id = '{run.run_id}' "
        f"ORDER BY md5(prediction_id), sequence LIMIT {MOST_REQUESTS}",
    )
    return [
        Logged(row["prediction_id"], json.loads(row["request"]), json.loads(row["prediction"]), row["score"])
        for row in rows.to_pylist()
    ]


def as_sample(requests: list[Logged], spec: PipelineSpec, shape: Shape) -> tuple[Sample, list[Logged]]:
    """The requests in both of their forms, and those that are left: one with a value that is not of its
    column's type is left out, because no training row can be like it.
    """
    typed = from_python([one.instance for one in requests], spec.data.feature_types)
    kept = [number for number, broken in enumerate(typed.broken_rows) if not broken]
    left = [requests[number] for number in kept]
    names = tuple(f"prediction {one.prediction_id}" for one in left)
    rows = typed.rows.take(kept).select(shape.schema.names).cast(shape.schema)
    return Sample(names, tuple(one.instance for one in left), rows), left
