"""Predictions beside the label that counts for each of them: what a model's `feedback_query` sees.

The newest label of a prediction counts, of those that nobody has taken back. What has landed stays what it
was: the label of a row that landed is the one that counted then. What is held at the door does not land.
"""

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tasks.data.door import held
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import TYPES_HOLD, TypedRows, from_python
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.lake import Lake, rows_of

TAKEBACKS: dict[str, ColumnType] = {
    "sequence": "int64",
    "sent_by": "string",
    "since": "timestamp",
    "until": "timestamp",
    "labels": "int64",
    "why": "string",
}
"""The columns of `<model>__takebacks`: which labels were taken back, by the name of the token that sent them
and the time at which they were received; `since` null for the first on.
"""

LANDED: dict[str, ColumnType] = {
    "prediction_id": "string",
    "number": "int64",
    "predictions_version": "int64",
    "feedback_version": "int64",
    "label_sequence": "int64",
}
"""The columns of `<model>__landed`; `label_sequence` says which label landed.

In rows of earlier versions it is null: there the newest label of `feedback_version` did.
"""

NEWEST = "row_number() OVER (PARTITION BY prediction_id ORDER BY received_at DESC, sequence DESC) = 1"
TAKEN_BACK = """EXISTS (
    SELECT 1 FROM takebacks AS t WHERE t.sent_by IS NOT DISTINCT FROM l.sent_by
    AND l.received_at <= t.until AND (t.since IS NULL OR l.received_at >= t.since)
)"""


@dataclass(frozen=True)
class Which:
    """Which labels are looked at, as SQL that gives one a prediction, and in which versions of the tables."""

    labels: str
    predictions_version: int | None = None
    feedback_version: int | None = None


class Labelled(NamedTuple):
    """The view `labelled`, and the rows whose label is not of its column's type."""

    rows: pa.Table
    misfits: list[BrokenRow]


def not_landed(predictions_version: int, feedback_version: int) -> Which:
    """The newest label, unless it was taken back, of each prediction that has not landed and is not held."""
    labels = f"""
        SELECT * FROM every_label AS l
        WHERE NOT {TAKEN_BACK} AND prediction_id NOT IN (SELECT prediction_id FROM landed)
        AND prediction_id NOT IN (SELECT prediction_id FROM held WHERE state <> 'released') QUALIFY {NEWEST}
    """  # noqa: S608 - parts of our own
    return Which(labels, predictions_version, feedback_version)


def of_portion(number: int, predictions_version: int, feedback_version: int) -> Which:
    """The labels that were written down as a portion's, whatever was taken back since."""
    labels = f"""
        SELECT l.* FROM every_label AS l JOIN landed AS d USING (prediction_id)
        WHERE d.number = {number} AND coalesce(d.label_sequence = l.sequence, true) QUALIFY {NEWEST}
    """  # noqa: S608 - a number and a part of our own
    return Which(labels, predictions_version, feedback_version)


def taken_back_after_landing() -> Which:
    """The labels that have landed and were taken back."""
    labels = f"""
        SELECT * FROM (
            SELECT l.* FROM every_label AS l JOIN landed AS d USING (prediction_id)
            WHERE coalesce(d.label_sequence = l.sequence, l.ingested_at <= d.ingested_at) QUALIFY {NEWEST}
        ) AS l WHERE {TAKEN_BACK}
    """  # noqa: S608 - parts of our own
    return Which(labels)


def prepare(lake: Lake, spec: PipelineSpec) -> None:
    """Make the tables that are read here, and give those of earlier versions the columns that they lack."""
    lake.create(f"{spec.name}__takebacks", TAKEBACKS)
    lake.create(f"{spec.name}__landed", LANDED)
    lake.create(f"{spec.name}__feedback", {"sent_by": "string"})


def labels_that_count(lake: Lake, spec: PipelineSpec, which: Which) -> pa.Table:
    """Which predictions and labels they are: `prediction_id` and `label_sequence`."""
    return _select(lake, spec, which, "prediction_id, label_sequence")


def columns_of_view(spec: PipelineSpec) -> dict[str, ColumnType]:
    """The columns of the view `labelled`."""
    kinds: dict[str, ColumnType] = dict.fromkeys(("prediction_id", "model_version", "sent_by"), "string")
    times: dict[str, ColumnType] = dict.fromkeys(("predicted_at", "labelled_at"), "timestamp")
    return {**kinds, **times, **spec.data.feature_types, "label": spec.data.columns[spec.data.label]}


def labelled(lake: Lake, spec: PipelineSpec, which: Which) -> Labelled:
    """The predictions with these labels, each value of its column's type."""
    kind = spec.data.columns[spec.data.label]
    found = _select(lake, spec, which, "*")
    sent = [{"label": json.loads(label)} for label in found["label"].to_pylist()]
    typed = from_python(sent, {"label": kind})
    features = {name: _feature(found, name, kind) for name, kind in spec.data.feature_types.items()}
    own = {name: found[name] for name in ("prediction_id", "predicted_at", "labelled_at", "model_version")}
    sender = {"sent_by": found["label_sent_by"]}
    rows = pa.table({**own, **sender, **features, "label": typed.rows.column("label")})
    return Labelled(rows.filter(pa.array(~typed.broken_rows)), _misfits(rows, found, typed, kind))


def feedback_rows(lake: Lake, spec: PipelineSpec, labelled: Labelled) -> pa.Table:
    """What the model's query makes of the view `labelled`.

    Raises:
        InvalidQuery: The query is wrong.
    """
    query = f"SELECT * FROM {rows_of(spec.data.feedback_query or '')}"  # noqa: S608 - the team's own query
    return lake.query(query, {"labelled": labelled.rows})


def _misfits(rows: pa.Table, found: pa.Table, typed: TypedRows, kind: ColumnType) -> list[BrokenRow]:
    """The rows whose label is not of type `kind`, each with the label that was sent."""
    misfits = []
    for position in np.flatnonzero(typed.broken_rows):
        sent = found["label"][int(position)].as_py()
        row = {**rows.slice(int(position), 1).to_pylist()[0], "label": json.loads(sent)}
        reason = f"The label {sent} is not of type {kind}."
        misfits.append(BrokenRow(int(position) + 1, json.dumps(row, default=str), TYPES_HOLD, reason))
    return misfits


def _feature(found: pa.Table, name: str, kind: ColumnType) -> pa.ChunkedArray:
    """A feature's column; one that the model got since the log's table was made is read from the request."""
    if name in found.column_names:
        return found.column(name)
    requests = [json.loads(request) for request in found["request"].to_pylist()]
    return from_python([{name: request.get(name)} for request in requests], {name: kind}).rows.column(name)


def _select(lake: Lake, spec: PipelineSpec, which: Which, columns: str) -> pa.Table:
    """The predictions with the labels that count."""
    tables: dict[str, tuple[str, int | None] | pa.Table] = {
        "every_prediction": (f"{spec.name}__predictions", which.predictions_version),
        "every_label": (f"{spec.name}__feedback", which.feedback_version),
        "landed": (f"{spec.name}__landed", None),
        "takebacks": (f"{spec.name}__takebacks", None),
        "held": held.states(lake, spec.name),
    }
    told = lake.query("SELECT * FROM every_label LIMIT 0", {"every_label": tables["every_label"]})
    # A portion that an earlier version wrote down is of a version of the table that lacks the column.
    sender = "sent_by" if "sent_by" in told.column_names else "NULL::VARCHAR"
    sql = f"""
        WITH labels AS ({which.labels}), counted AS (
            SELECT prediction_id, label, received_at AS labelled_at, sequence AS label_sequence,
                {sender} AS label_sent_by FROM labels
        )
        SELECT {columns} FROM counted JOIN every_prediction USING (prediction_id) ORDER BY prediction_id
    """  # noqa: S608 - parts and names of our own
    return lake.query(sql, tables)
