"""Land the rows whose labels have come back, as files at the door of the training table.

A prediction lands once, with the newest label that is known then. A label that changes later stays in
`<model>__feedback` and lands no second time: the training table is append-only, and its key is the
prediction's. What lands is written down in `<model>__landed` first, with the table versions it is made of, so
that a file that was not finished is made again, the same. A label that its column cannot hold goes to the
table's quarantine as it was sent.
"""

import io
import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.data import quarantine
from tasks.data.parquet_reader import COLLECTED
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import TYPES_HOLD, TypedRows, from_python
from tasks.settings import settings
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.files import at, write_whole
from tasks.stores.lake import Lake, rows_of

LANDED = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("number", pa.int64()),
        ("predictions_version", pa.int64()),
        ("feedback_version", pa.int64()),
    ]
)


class Portion(NamedTuple):
    """What one file lands: its number from 1, and the versions of the tables that it is made of."""

    number: int
    predictions_version: int
    feedback_version: int


class Landed(NamedTuple):
    """What came of a portion: the rows that landed, in which file, and how many went to quarantine."""

    rows: int
    file: str | None
    quarantined: int = 0


class Labelled(NamedTuple):
    """The rows of a portion: the view `labelled`, and those whose label is not of its column's type."""

    rows: pa.Table
    misfits: list[BrokenRow]


def land_labels(lake: Lake, spec: PipelineSpec) -> Landed:
    """Land what is labelled and has not landed, or finish what an earlier try began.

    Raises:
        InvalidQuery: The model's `feedback_query` is wrong; nothing landed.
    """
    if spec.data.feedback_query is None or not lake.exists(f"{spec.name}__feedback"):
        return Landed(0, None)
    last = _last(lake, spec)
    if last and not _has_landed(spec, last) and (landed := _write(lake, spec, last)).file:
        return landed
    portion = Portion(
        number=last.number + 1 if last else 1,
        predictions_version=lake.latest(f"{spec.name}__predictions"),
        feedback_version=lake.latest(f"{spec.name}__feedback"),
    )
    ids = lake.query(*_selection(lake, spec, portion, "prediction_id")).column("prediction_id")
    if len(ids) == 0:
        return Landed(0, None)
    _asked(lake, spec, _labelled(lake, spec, portion))  # a wrong query ends here: nothing is written down yet
    numbers = {name: pa.repeat(value, len(ids)) for name, value in portion._asdict().items()}
    lake.append(
        f"{spec.name}__landed",
        pa.table({"prediction_id": ids, **numbers}, schema=LANDED),
        batch_id=f"landed-{portion.number}",
        app_id=f"land:{spec.name}",
        app_version=portion.number,
    )
    # Where another collect wrote this number down first, its rows count.
    return _write(lake, spec, _last(lake, spec) or portion)


def _last(lake: Lake, spec: PipelineSpec) -> Portion | None:
    """The newest portion that was written down."""
    table = f"{spec.name}__landed"
    if not lake.exists(table):
        return None
    newest = f"SELECT {', '.join(Portion._fields)} FROM {table} ORDER BY number DESC LIMIT 1"  # noqa: S608
    rows = lake.query(newest, [table]).to_pylist()
    return Portion(**rows[0]) if rows else None


def _file_name(spec: PipelineSpec, portion: Portion) -> str:
    return f"{spec.name}-labels-{portion.number:06d}.parquet"


def _has_landed(spec: PipelineSpec, portion: Portion) -> bool:
    """Whether the portion's file waits, or was taken. It is looked for in the order in which it moves."""
    folder, name = at(settings().landing, spec.data.table), _file_name(spec, portion)
    if (folder / name).exists():
        return True
    taken = (
        any(True for _ in (folder / ".archive").glob(f"*/{name}"))
        if (folder / ".archive").exists()
        else False
    )
    return taken or bool((folder / ".refused" / name).exists())


def _write(lake: Lake, spec: PipelineSpec, portion: Portion) -> Landed:
    """Write the portion's file, whole or not at all; none without rows. Two who write it write the same."""
    labelled = _labelled(lake, spec, portion, written_down=True)
    rows, name = _asked(lake, spec, labelled), _file_name(spec, portion)
    if labelled.misfits:
        _quarantine(lake, spec, portion, labelled.misfits)
    if not len(rows):
        return Landed(0, None, len(labelled.misfits))
    content = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata({COLLECTED: spec.name}), content)
    file = at(settings().landing, spec.data.table) / name
    write_whole(file, content.getvalue())
    return Landed(len(rows), str(file), len(labelled.misfits))


def _quarantine(lake: Lake, spec: PipelineSpec, portion: Portion, misfits: list[BrokenRow]) -> None:
    name = _file_name(spec, portion)
    lake.append(
        quarantine.name_of(spec.data.table),
        quarantine.as_table(name, misfits),
        batch_id=name,
        app_id=f"land:{spec.name}",
        app_version=portion.number,
    )


def _asked(lake: Lake, spec: PipelineSpec, labelled: Labelled) -> pa.Table:
    """What the model's query makes of the view `labelled`."""
    query = f"SELECT * FROM {rows_of(spec.data.feedback_query or '')}"  # noqa: S608 - the team's own query
    return lake.query(query, {"labelled": labelled.rows})


def _labelled(lake: Lake, spec: PipelineSpec, portion: Portion, *, written_down: bool = False) -> Labelled:
    """The rows of the portion as it was written down, or of all that has not landed yet."""
    kind = spec.data.columns[spec.data.label]
    found = lake.query(*_selection(lake, spec, portion, "*", written_down=written_down))
    sent = [{"label": json.loads(label)} for label in found["label"].to_pylist()]
    typed = from_python(sent, {"label": kind})
    features = {name: _feature(found, name, spec.data.columns[name]) for name in spec.data.features}
    own = ("prediction_id", "predicted_at", "labelled_at", "model_version")
    rows = pa.table({**{name: found[name] for name in own}, **features, "label": typed.rows.column("label")})
    return Labelled(rows.filter(pa.array(~typed.broken_rows)), _misfits(rows, found, typed, kind))


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


def _selection(
    lake: Lake, spec: PipelineSpec, portion: Portion, columns: str, *, written_down: bool = False
) -> tuple[str, dict[str, Any]]:
    """The query of the labelled predictions, each with its newest label, and the tables that it is over."""
    landed = f"{spec.name}__landed"
    tables: dict[str, tuple[str, int | None]] = {
        "every_prediction": (f"{spec.name}__predictions", portion.predictions_version),
        "every_label": (f"{spec.name}__feedback", portion.feedback_version),
    }
    among = ""
    if lake.exists(landed):
        tables["landed"] = (landed, None)
        among = f"IN (FROM landed SELECT prediction_id WHERE number = {portion.number})"
        among = (
            f"WHERE prediction_id {among if written_down else 'NOT IN (FROM landed SELECT prediction_id)'}"
        )
    sql = f"""
        WITH newest AS (
            SELECT prediction_id, label, received_at AS labelled_at FROM every_label QUALIFY 1 =
            row_number() OVER (PARTITION BY prediction_id ORDER BY received_at DESC, sequence DESC)
        )
        SELECT {columns} FROM newest JOIN every_prediction USING (prediction_id) {among}
        ORDER BY prediction_id
    """  # noqa: S608 - names of our own tables
    return sql, tables
