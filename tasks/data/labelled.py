"""The view `labelled`: predictions beside the label that counts for each of them.

The newest label of a prediction counts, of those that nobody has taken back. What has landed stays what it
was: the label of a row that landed is the one that counted then.
"""

from dataclasses import dataclass

import pyarrow as pa

from tasks.data.typed_values import FROM_TEXT
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.lake import Lake

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

OF_JSON: dict[ColumnType, str] = {
    "string": "'VARCHAR'",
    "int64": "'UBIGINT', 'BIGINT', 'DOUBLE'",
    "float64": "'UBIGINT', 'BIGINT', 'DOUBLE'",
    "bool": "'BOOLEAN'",
    "timestamp": "'VARCHAR'",
    "date": "'VARCHAR'",
}
"""What DuckDB calls a JSON value that can be of a type."""

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


def not_landed(predictions_version: int, feedback_version: int) -> Which:
    """The newest label, unless it was taken back, of each prediction that has not landed."""
    labels = f"""
        SELECT * FROM every_label AS l
        WHERE NOT {TAKEN_BACK} AND prediction_id NOT IN (SELECT prediction_id FROM landed) QUALIFY {NEWEST}
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
    """Make the tables that the view reads, and give those of earlier versions the columns that they lack."""
    lake.widen(f"{spec.name}__takebacks", TAKEBACKS)
    lake.widen(f"{spec.name}__landed", LANDED)
    lake.widen(f"{spec.name}__feedback", {"sent_by": "string"})


def counted(lake: Lake, spec: PipelineSpec, which: Which) -> pa.Table:
    """Which predictions and labels they are: `prediction_id` and `label_sequence`."""
    known = "FROM counted SEMI JOIN every_prediction USING (prediction_id) ORDER BY prediction_id"
    return _query(lake, spec, which, f"SELECT prediction_id, sequence AS label_sequence {known}")


def labelled(lake: Lake, spec: PipelineSpec, which: Which) -> pa.Table:
    """What the model's `feedback_query` makes of them.

    Raises:
        InvalidQuery: The query is wrong.
    """
    query = (spec.data.feedback_query or "").strip().rstrip(";")
    # The query stands on lines of its own, so that a comment at its end does not swallow the bracket.
    return _query(lake, spec, which, f"SELECT * FROM (\n{query}\n)")  # noqa: S608 - the team's own query


def _query(lake: Lake, spec: PipelineSpec, which: Which, query: str) -> pa.Table:
    name, data = spec.name, spec.data
    tables: dict[str, tuple[str, int | None]] = {
        "every_prediction": (f"{name}__predictions", which.predictions_version),
        "every_label": (f"{name}__feedback", which.feedback_version),
        "landed": (f"{name}__landed", None),
        "takebacks": (f"{name}__takebacks", None),
    }
    logged, told = (
        lake.query(f"SELECT * FROM {view} LIMIT 0", {view: tables[view]}).column_names  # noqa: S608
        for view in ("every_prediction", "every_label")
    )
    features = [
        _quoted(feature) if feature in logged else _of_request(feature, data.columns[feature])
        for feature in data.features
    ]
    label = _typed("label", "'$'", data.columns[data.label])
    sender = "counted.sent_by" if "sent_by" in told else "NULL::VARCHAR"
    sql = f"""
        WITH counted AS ({which.labels}), labelled AS (
            SELECT prediction_id, predicted_at, received_at AS labelled_at, model_version,
                {sender} AS sent_by, {", ".join(features)}, {label} AS label
            FROM counted JOIN every_prediction USING (prediction_id) ORDER BY prediction_id
        )
        {query}
    """  # noqa: S608 - names of the specification, quoted, and the team's own query
    return lake.query(sql, tables)


def _of_request(feature: str, kind: ColumnType) -> str:
    """A feature that the model has got since the log's table was made: it is read from the whole request."""
    quoted = _quoted(feature)
    path = "'$." + quoted.replace("'", "''") + "'"
    return f"{_typed('request', path, kind)} AS {quoted}"


def _typed(column: str, path: str, kind: ColumnType) -> str:
    """A value of a JSON text as its column's type, as `typed_values.from_python` reads it: what is not of the
    type is null, and nothing is rounded.
    """
    text = f"json_extract_string({column}, {path})"
    read = FROM_TEXT[kind].format(value=text, trimmed=f"trim({text})")
    return f"CASE WHEN json_type({column}, {path}) IN ({OF_JSON[kind]}) THEN {read} END"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
