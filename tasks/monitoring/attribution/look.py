"""Ask on which columns the champion's answers rest, once a calendar month and version, and keep the result.

A check of the same month reads what is kept. The newer rows are those of the last 30 days, drawn by the hash
of their ids; the reference is the validation part of the champion's snapshot.
"""

import json
import time
from datetime import datetime, timedelta
from hashlib import sha256

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.contracts import Archive, Attribution, Signal, TrainingRun
from tasks.data.typed_values import from_python
from tasks.errors import ArchiveMismatch, InvalidProject, ServingError
from tasks.monitoring.attribution.ask import moved, rows_for
from tasks.monitoring.attribution.decide import Changes, not_looked_at, shares, signals_of
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.lake import Lake, arrow_schema
from tasks.stores.lake_sql import literal
from tasks.stores.parts import read_part

MONTH = timedelta(days=30)
FEWEST_ROWS = 100
ATTRIBUTIONS: dict[str, ColumnType] = {"run_id": "string", "month": "string", "document": "string"}
"""The columns of `<model>__attributions`: `document` is an `Attribution` as JSON."""

Days = NDArray[np.int64]


def look(
    lake: Lake, spec: PipelineSpec, run: TrainingRun, archive: Archive, end: datetime
) -> tuple[Signal, ...]:
    """What has changed about the columns that answers rest on; a note where it cannot be asked.

    Args:
        archive: Of the version that serves.
        end: Of the check's window.
    """
    if len(spec.data.features) < 2:
        return (
            not_looked_at(
                f"The model has one feature, {spec.data.features[0]}: on what in it the answers rest is not "
                "looked at."
            ),
        )
    known = _kept(lake, spec, run, f"{end:%Y-%m}")
    if known is not None:
        return signals_of(known)
    try:
        made = _made(lake, spec, run, archive, end)
    except (ArchiveMismatch, InvalidProject, ServingError) as error:
        return (not_looked_at(f"On which columns the answers rest was not found out: {error}"),)
    if made is None:
        return ()
    _keep(lake, spec, made)
    return signals_of(made)


def _made(
    lake: Lake, spec: PipelineSpec, run: TrainingRun, archive: Archive, end: datetime
) -> Attribution | None:
    """None where there are too few rows yet."""
    begun, columns = time.monotonic(), list(spec.data.features)
    most = rows_for(len(columns))
    window, days = _newest(lake, spec, run, end, most)
    reference = _reference(spec, run, most)
    if min(len(window), len(reference)) < FEWEST_ROWS:
        return None
    (before, _), (now, left) = moved(archive, (reference, window), columns, spec.task)
    if not len(before) or not len(now):
        return None
    sides = Changes(before, np.arange(len(before))), Changes(now, days[left])
    return Attribution(
        model=spec.name,
        run_id=run.run_id,
        month=f"{end:%Y-%m}",
        start=end - MONTH,
        end=end,
        reference_rows=len(before),
        rows=len(now),
        days=len(np.unique(days[left])),
        columns=shares(columns, *sides),
        seconds=time.monotonic() - begun,
    )


def _reference(spec: PipelineSpec, run: TrainingRun, most: int) -> pa.Table:
    """Rows that the champion did not learn from; always the same ones."""
    rows = read_part(run.snapshot.validation).select(list(spec.data.features))
    drawn = np.random.default_rng(0).permutation(len(rows))[:most]
    return rows.take(pa.array(np.sort(drawn))).cast(arrow_schema(spec.data.feature_types))


def _newest(
    lake: Lake, spec: PipelineSpec, run: TrainingRun, end: datetime, most: int
) -> tuple[pa.Table, Days]:
    """Requests of the last 30 days that the version answered, and the number of the day of each."""
    table, schema = f"{spec.name}__predictions", arrow_schema(spec.data.feature_types)
    if not lake.exists(table):
        return schema.empty_table(), np.zeros(0, np.int64)
    start, until = (f"TIMESTAMPTZ '{at.isoformat()}'" for at in (end - MONTH, end))
    found = lake.read(
        table,
        columns=["request", "predicted_at"],
        where_sql=f"predicted_at >= {start} AND predicted_at < {until} AND run_id = {literal(run.run_id)} "
        f"ORDER BY md5(prediction_id), sequence LIMIT {most}",
    )
    typed = from_python([json.loads(text) for text in found["request"].to_pylist()], spec.data.feature_types)
    kept = [number for number, broken in enumerate(typed.broken_rows) if not broken]
    times = found["predicted_at"].to_pylist()
    days = np.array([times[number].toordinal() for number in kept], dtype=np.int64)
    return typed.rows.take(kept).select(schema.names).cast(schema), days


def _kept(lake: Lake, spec: PipelineSpec, run: TrainingRun, month: str) -> Attribution | None:
    table = _table(spec)
    if not lake.exists(table):
        return None
    found = lake.read(
        table,
        columns=["document"],
        where_sql=f"run_id = {literal(run.run_id)} AND month = {literal(month)} ORDER BY ingested_at LIMIT 1",
    )
    return Attribution.model_validate_json(found["document"][0].as_py()) if len(found) else None


def _keep(lake: Lake, spec: PipelineSpec, made: Attribution) -> None:
    row = {"run_id": made.run_id, "month": made.month, "document": made.model_dump_json()}
    table = _table(spec)
    lake.create(table, ATTRIBUTIONS)
    name = f"attribution-{sha256(f'{made.run_id} {made.month}'.encode()).hexdigest()}"
    lake.append(table, pa.Table.from_pylist([row], schema=arrow_schema(ATTRIBUTIONS)), batch_id=name)


def _table(spec: PipelineSpec) -> str:
    return f"{spec.name}__attributions"
