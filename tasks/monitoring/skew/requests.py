"""Requests of a window as the gateway logged them, drawn by the hash of their ids."""

import json
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.contracts import TrainingRun
from tasks.data.typed_values import from_python
from tasks.errors import InvalidProject
from tasks.evaluation.preparation.replay import Sample, Shape
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake

MOST_REQUESTS = 200
COLUMNS = ("prediction_id", "request", "prediction", "score")


class Logged(NamedTuple):
    """A request that the champion answered; `instance` is None where the log does not have it."""

    prediction_id: str
    instance: dict[str, Any] | None
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
        Logged(row["prediction_id"], _loaded(row["request"]), _loaded(row["prediction"]), row["score"])
        for row in rows.to_pylist()
    ]


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def as_sample(requests: list[Logged], spec: PipelineSpec, shape: Shape) -> tuple[Sample, list[Logged]]:
    """The requests in both of their forms, and those that are left: one that was not logged whole, or has a
    value that is not of its column's type, is left out, because no training row can be like it.

    Raises:
        InvalidProject: None is left, or the training's file has a feature in another type than the model.
    """
    whole = [one for one in requests if one.instance is not None and one.prediction is not None]
    typed = from_python([one.instance or {} for one in whole], spec.data.feature_types)
    kept = [number for number, broken in enumerate(typed.broken_rows) if not broken]
    if not kept:
        raise InvalidProject(
            f"None of the {len(requests)} requests that were drawn was logged whole, with values of the "
            "types of the model's columns, so none can be replayed. See pipeline.yaml: data.columns."
        )
    left = [whole[number] for number in kept]
    names = tuple(f"prediction {one.prediction_id}" for one in left)
    rows = _as_trained(typed.rows.take(kept), shape.schema)
    return Sample(names, tuple(one.instance or {} for one in left), rows), left


def _as_trained(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    try:
        return rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidProject(
            f"The logged requests cannot be read as the training read its rows: {error}. The columns in "
            "pipeline.yaml have other types than when the version that serves was trained: train again."
        ) from error
