"""Land the rows whose labels have come back, as files at the door of the training table.

A prediction lands once, with the newest label that is known then and was not taken back. A label that changes
later stays in `<model>__feedback` and lands no second time: the training table is append-only, and its key is
the prediction's. What lands is written down in `<model>__landed` first, with the table versions that it is
made of, so that a file that was not finished is made again, the same. A label that its column cannot hold
goes to the table's quarantine as it was sent.
"""

import io
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.data import quarantine
from tasks.data.door.judge import hold_back
from tasks.data.labelled import (
    LANDED,
    feedback_rows,
    labelled,
    labels_that_count,
    not_landed,
    of_portion,
    prepare,
)
from tasks.data.parquet_reader import COLLECTED
from tasks.data.quarantine import BrokenRow
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores.files import at, write_whole
from tasks.stores.lake import Lake, arrow_schema


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


def land_labels(lake: Lake, spec: PipelineSpec, actor: str = "collect") -> Landed:
    """Land what is labelled, has not landed and is not held at the door, or finish what an earlier try began.

    Args:
        actor: Who the ledger says held what is.

    Raises:
        InvalidQuery: The model's `feedback_query` is wrong; nothing landed.
        LedgerBroken: What is suspicious cannot be recorded; nothing landed.
    """
    if spec.data.feedback_query is None or not lake.exists(f"{spec.name}__feedback"):
        return Landed(0, None)
    prepare(lake, spec)
    last = _last(lake, spec)
    if last and not _has_landed(spec, last) and (landed := _write(lake, spec, last)).file:
        return landed
    portion = Portion(
        number=last.number + 1 if last else 1,
        predictions_version=lake.latest(f"{spec.name}__predictions"),
        feedback_version=lake.latest(f"{spec.name}__feedback"),
    )
    fresh = not_landed(portion.predictions_version, portion.feedback_version)
    hold_back(lake, spec, labels_that_count(lake, spec, fresh), portion[1:], actor)
    found = labels_that_count(lake, spec, fresh)
    if len(found) == 0:
        return Landed(0, None)
    # A wrong query ends here: nothing is written down yet.
    feedback_rows(lake, spec, labelled(lake, spec, fresh))
    numbers = {name: pa.repeat(value, len(found)) for name, value in portion._asdict().items()}
    columns = {**numbers, **{name: found.column(name) for name in found.column_names}}
    lake.append(
        f"{spec.name}__landed",
        pa.table(columns, schema=arrow_schema(LANDED)),
        batch_id=f"landed-{portion.number}",
        app_id=f"land:{spec.name}",
        app_version=portion.number,
    )
    # Where another collect wrote this number down first, its rows count.
    return _write(lake, spec, _last(lake, spec) or portion)


def _last(lake: Lake, spec: PipelineSpec) -> Portion | None:
    """The newest portion that was written down."""
    table = f"{spec.name}__landed"
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
    found = labelled(lake, spec, of_portion(*portion))
    rows, name = feedback_rows(lake, spec, found), _file_name(spec, portion)
    if found.misfits:
        _quarantine(lake, spec, portion, found.misfits)
    if not len(rows):
        return Landed(0, None, len(found.misfits))
    content = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata({COLLECTED: spec.name}), content)
    file = at(settings().landing, spec.data.table) / name
    write_whole(file, content.getvalue())
    return Landed(len(rows), str(file), len(found.misfits))


def _quarantine(lake: Lake, spec: PipelineSpec, portion: Portion, misfits: list[BrokenRow]) -> None:
    name = _file_name(spec, portion)
    lake.append(
        quarantine.name_of(spec.data.table),
        quarantine.as_table(name, misfits),
        batch_id=name,
        app_id=f"land:{spec.name}",
        app_version=portion.number,
    )
