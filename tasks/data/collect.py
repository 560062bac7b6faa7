"""Bring what the gateway logged into the lake, and the labels that came back to the training table's door.

Predictions and labels are appended after the last sequence that the lake holds, which is part of the lake's
own transactions: killed anywhere, or run by two at once, each row is there once.
"""

import json
from collections.abc import Callable
from typing import Any, Literal

import pyarrow as pa

from tasks.contracts import CollectRequest, CollectResult
from tasks.data.labelled import TAKEBACKS
from tasks.data.labels import land_labels
from tasks.data.taken_back import hide_taken_back
from tasks.data.typed_values import from_python
from tasks.serving.gateway import PAGE_ROWS, Gateway
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.lake import Lake

PREDICTIONS: dict[str, ColumnType] = {
    "sequence": "int64",
    "prediction_id": "string",
    "predicted_at": "timestamp",
    "model_version": "string",
    "run_id": "string",
    "request": "string",
    "prediction": "string",
    "score": "float64",
    "sent_by": "string",
    "latency_seconds": "float64",
}
"""The columns of `<model>__predictions`, beside one a feature.

`request` (the whole instance) and `prediction` are JSON; `sent_by` is the name of the token that asked, null
where none was asked for; `latency_seconds` is from the request's arrival to the model's answer, the same for
all instances of a request, null in rows of an earlier Perennial.
"""

LATER: dict[str, dict[str, ColumnType]] = {
    "predictions": {"sent_by": "string", "latency_seconds": "float64"},
    "feedback": {"sent_by": "string"},
    "takebacks": {},
}
"""Columns that tables of an earlier Perennial lack."""

FEEDBACK: dict[str, ColumnType] = {
    "sequence": "int64",
    "prediction_id": "string",
    "label": "string",
    "received_at": "timestamp",
    "sent_by": "string",
}
"""The columns of `<model>__feedback`; `label` is JSON, `sent_by` the name of the token that sent it.

The last label of a prediction counts that was not taken back.
"""

Rows = list[dict[str, Any]]


def collect(request: CollectRequest) -> CollectResult:
    """Append what is new in the log, land what is labelled, and hide rows whose labels were taken back.

    Raises:
        ServingError: The gateway does not answer; what was appended before stays.
        InvalidQuery: The model's `feedback_query` is wrong; the log is in the lake all the same.
    """
    spec, lake, gateway = request.spec, Lake(), Gateway()
    log_id = gateway.log_id()
    predictions = Collector(
        lake, gateway, spec.name, "predictions", log_id, lambda rows: prediction_table(rows, spec)
    )
    feedback = Collector(lake, gateway, spec.name, "feedback", log_id, feedback_table)
    takebacks = Collector(lake, gateway, spec.name, "takebacks", log_id, takeback_table)
    # Labels are read before predictions and appended after them: so a label in the lake finds its prediction
    # there.
    labels = feedback.next_rows()
    predictions.bring(predictions.next_rows())
    feedback.bring(labels)
    takebacks.bring(takebacks.next_rows())
    landed = land_labels(lake, spec, request.context.actor)
    return CollectResult(
        model=spec.name,
        prediction_rows=predictions.appended,
        feedback_rows=feedback.appended,
        labelled_rows=landed.rows,
        landed_file=landed.file,
        quarantined_labels=landed.quarantined,
        taken_back=hide_taken_back(lake, spec),
    )


class Collector:
    """Moves one of the gateway's logs into its table of the lake.

    Attributes:
        appended: How many rows this collector brought.
    """

    def __init__(
        self,
        lake: Lake,
        gateway: Gateway,
        model: str,
        log: Literal["predictions", "feedback", "takebacks"],
        log_id: str,
        as_table: Callable[[Rows], pa.Table],
    ) -> None:
        self._lake = lake
        self._gateway = gateway
        self._model = model
        self._log = log
        self._table = f"{model}__{log}"
        self._app_id = f"collect:{model}:{log}:{log_id}"
        self._as_table = as_table
        self._known = 0
        self.appended = 0

    def next_rows(self) -> Rows:
        """The log's rows that follow what the lake holds now."""
        self._known = self._lake.app_version(self._table, self._app_id) or 0
        return self._gateway.log(self._log, self._model, self._known)

    def bring(self, rows: Rows) -> None:
        """Append these rows and those that follow, up to the end of the log as it is met.

        A page that is not full is the end: requests go on coming, and to chase the last of them would never
        end.
        """
        while rows:
            written = self._append(rows)
            if written and len(rows) < PAGE_ROWS:
                return
            rows = self.next_rows()

    def _append(self, rows: Rows) -> bool:
        """Append rows that `next_rows` gave; False where another collector was faster."""
        first, last = rows[0]["sequence"], rows[-1]["sequence"]
        self._lake.append(
            self._table,
            self._fitting(rows),
            batch_id=f"{self._log}-{first}-{last}",
            app_id=self._app_id,
            app_version=last,
            app_previous=self._known,
        )
        written = bool(self._lake.app_version(self._table, self._app_id) == last)
        self.appended += len(rows) if written else 0
        return written

    def _fitting(self, rows: Rows) -> pa.Table:
        """The rows in the columns of the table, which has all that it has to have now."""
        found, later = self._lake.schema(self._table), LATER[self._log]
        if found is not None and not later.keys() <= set(found.names):
            self._lake.create(self._table, later)
            found = self._lake.schema(self._table)
        return _in_columns(self._as_table(rows), found)


def prediction_table(rows: Rows, spec: PipelineSpec) -> pa.Table:
    """Predictions with a column for each feature; a feature
    that is not of its type is null, and still in `request`.
    """
    logged = [
        {**row, "request": json.dumps(row["features"]), "prediction": json.dumps(row["prediction"])}
        for row in rows
    ]
    kinds = spec.data.feature_types
    own, features = (
        from_python(logged, PREDICTIONS).rows,
        from_python([row["features"] for row in rows], kinds).rows,
    )
    return pa.table({name: table.column(name) for table in (own, features) for name in table.column_names})


def feedback_table(rows: Rows) -> pa.Table:
    """Labels, each as JSON."""
    return from_python([{**row, "label": json.dumps(row["label"])} for row in rows], FEEDBACK).rows


def takeback_table(rows: Rows) -> pa.Table:
    """Which labels were taken back."""
    return from_python(rows, TAKEBACKS).rows


def as_the_table_is(rows: pa.Table, lake: Lake, table: str) -> pa.Table:
    """The rows in the columns that the table has: a model's
    features may have changed since the table was made.

    A column that the table lacks, or has with another type, is left out; its values are in `request`.
    """
    return _in_columns(rows, lake.schema(table))


def _in_columns(rows: pa.Table, found: pa.Schema | None) -> pa.Table:
    """`as_the_table_is`, of a table with these columns; None where there is no table."""
    if found is None:
        return rows
    same = {
        field.name
        for field in rows.schema
        if field.name in found.names and found.field(field.name).type == field.type
    }
    return pa.table(
        {
            name: rows.column(name) if name in same else pa.nulls(len(rows), found.field(name).type)
            for name in found.names
        }
    )
