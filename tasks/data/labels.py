"""Land the rows whose labels have come back, as files at the door of the training table.

A prediction lands once, with the newest label that is known then. A label that changes later stays in
`<model>__feedback` and lands no second time: the training table is append-only, and its key is the
prediction's. What lands is written down in `<model>__landed` first, with the table versions it is made of, so
that a file that was not finished is made again, the same.
"""

import io
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.settings import settings
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.files import at, write_whole
from tasks.stores.lake import Lake

SQL_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}

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
    rows: int
    file: str | None


def land_labels(lake: Lake, spec: PipelineSpec) -> Landed:
    """Land what is labelled and has not landed, or finish what an earlier try began.

    Raises:
        InvalidQuery: The model's `feedback_query` is wrong; nothing landed.
    """
    if spec.data.feedback_query is None or not lake.exists(f"{spec.name}__feedback"):
        return Landed(0, None)
    last = _last(lake, spec)
    if last and not _has_landed(spec, last):
        return _write(lake, spec, last)
    portion = Portion(
        number=last.number + 1 if last else 1,
        predictions_version=lake.latest(f"{spec.name}__predictions"),
        feedback_version=lake.latest(f"{spec.name}__feedback"),
    )
    fresh = _labelled(lake, spec, portion, "SELECT prediction_id FROM labelled")
    if len(fresh) == 0:
        return Landed(0, None)
    _labelled(
        lake, spec, portion, spec.data.feedback_query
    )  # a wrong query ends here, before anything is written down
    numbers = {name: pa.repeat(value, len(fresh)) for name, value in portion._asdict().items()}
    lake.append(
        f"{spec.name}__landed",
        pa.table({"prediction_id": fresh.column("prediction_id"), **numbers}, schema=LANDED),
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
    """Write the portion's file, whole or not at all. Two who write it write the same."""
    query = spec.data.feedback_query or ""
    rows = _labelled(lake, spec, portion, query, written_down=True)
    folder, name = at(settings().landing, spec.data.table), _file_name(spec, portion)
    content = io.BytesIO()
    pq.write_table(rows, content)
    write_whole(folder / name, content.getvalue())
    return Landed(len(rows), str(folder / name))


def _labelled(
    lake: Lake, spec: PipelineSpec, portion: Portion, query: str, *, written_down: bool = False
) -> pa.Table:
    """Run a query over the view `labelled`: of the portion as
    it was written down, or of all that has not landed yet.
    """
    landed = f"{spec.name}__landed"
    tables: dict[str, tuple[str, int | None]] = {
        "every_prediction": (f"{spec.name}__predictions", portion.predictions_version),
        "every_label": (f"{spec.name}__feedback", portion.feedback_version),
    }
    condition = ""
    if lake.exists(landed):
        tables["landed"] = (landed, None)
        which = f"WHERE number = {portion.number}" if written_down else ""
        among = f"IN (SELECT prediction_id FROM landed {which})"  # noqa: S608 - a number
        condition = f"WHERE prediction_id {'' if written_down else 'NOT'} {among}"
    there = lake.query(
        "SELECT * FROM every_prediction LIMIT 0", {"every_prediction": tables["every_prediction"]}
    ).column_names
    selected = ", ".join(
        _feature(name, spec.data.columns[name], name in there) for name in spec.data.features
    )
    label = (
        f"TRY_CAST(json_extract_string(label, '$') AS {SQL_TYPES[spec.data.columns[spec.data.label]]}) AS "
        "label"
    )
    # The query stands on lines of its own, so that a comment at its end does not swallow the bracket.
    sql = f"""
        WITH newest AS (
            SELECT * FROM every_label QUALIFY 1 =
            row_number() OVER (PARTITION BY prediction_id ORDER BY received_at DESC, sequence DESC)
        ), labelled AS (
            SELECT prediction_id, predicted_at, received_at AS labelled_at, model_version, {selected}, {label}
            FROM newest JOIN every_prediction USING (prediction_id) {condition} ORDER BY prediction_id
        )
        SELECT * FROM (\n{query.strip().rstrip(";")}\n)
    """  # noqa: S608 - names of the specification, quoted, and the team's own query
    return lake.query(sql, tables)


def _feature(name: str, kind: ColumnType, logged: bool) -> str:  # noqa: FBT001
    """A feature's column; one that the model has got since
    the log's table was made is read from the whole request.
    """
    quoted = '"' + name.replace('"', '""') + '"'
    if logged:
        return quoted
    path = "$." + quoted.replace("'", "''")
    return f"TRY_CAST(json_extract_string(request, '{path}') AS {SQL_TYPES[kind]}) AS {quoted}"
