"""Read what a champion is held against: its promotion in the ledger, and its snapshot's validation part."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tasks.contracts import (
    Action,
    DataSnapshot,
    EvaluationReport,
    LabelDay,
    Sums,
    TargetReference,
    TrainingRun,
)
from tasks.evaluation.slices import edges_of
from tasks.ledger import entries
from tasks.monitoring.event_times import times_of
from tasks.monitoring.target.counting import Group
from tasks.spec import PipelineSpec
from tasks.spec.labels import label_text
from tasks.stores.database import engine
from tasks.stores.lake import Lake
from tasks.stores.parts import read_part

FEWEST_ROWS_A_DAY = 20
"""A stretch with fewer labels says nothing of how much stretches differ."""


def reference_of(
    lake: Lake, spec: PipelineSpec, run: TrainingRun, length: timedelta = timedelta(days=1)
) -> TargetReference:
    """What the champion that came from `run` scored when it was promoted, and the labels that it learnt from.

    Args:
        length: Of a window: the validation part is divided into stretches of it.

    Raises:
        FrozenSetMismatch: The validation part is not the one that the snapshot froze.
    """
    evaluation = _evaluation(spec.name, run.run_id)
    own = evaluation.candidate if evaluation else None
    return TargetReference(
        model=spec.name,
        run_id=run.run_id,
        task=spec.task,
        primary_metric=spec.gate.primary_metric,
        source="promotion" if evaluation else "none",
        rows=evaluation.rows if evaluation else 0,
        metrics={metric.name: metric for metric in own.metrics} if own else {},
        slices=own.slices if own else (),
        fairness=evaluation.fairness if evaluation else (),
        label_days=label_days(lake, spec, run.snapshot, length),
    )


def groups_of(spec: PipelineSpec, run: TrainingRun) -> tuple[Group, ...]:
    """The columns of `data.slice_by` that requests carry, with the edges that the training part gave."""
    carried = [by for by in spec.data.slice_by if by.column in spec.data.features]
    trained = read_part(run.snapshot.train) if any(by.quantiles for by in carried) else None
    return tuple(Group(by.column, edges_of(by, trained) if by.has_bins else None) for by in carried)


def _evaluation(model: str, run_id: str) -> EvaluationReport | None:
    """Of the run's promotion; None where the ledger has none."""
    with engine().connect() as connection:
        for entry in entries.newest_first(connection, model, Action.GATE):
            if (entry.evidence["decision"]["run_id"], entry.after) == (run_id, "promote"):
                return EvaluationReport.model_validate(entry.evidence["evaluation"])
    return None


def label_days(
    lake: Lake, spec: PipelineSpec, snapshot: DataSnapshot, length: timedelta
) -> tuple[LabelDay, ...]:
    """The labels of the validation part by when their rows happened, oldest first; all in one where the rows
    have no time, or where its stretches have too few.
    """
    rows = read_part(snapshot.validation)
    if spec.data.label not in rows.column_names:
        return ()
    labels = rows[spec.data.label].to_pylist()
    times = _times(lake, spec, snapshot, rows)
    if times is None:
        return (_day(None, labels, spec.task),)
    by_start: dict[datetime, list[Any]] = defaultdict(list)
    for at, label in zip(times, labels, strict=True):
        if at is not None:
            by_start[_start(at, length)].append(label)
    found = {start: own for start, own in by_start.items() if len(own) >= FEWEST_ROWS_A_DAY}
    if not found:
        return (_day(None, labels, spec.task),)
    return tuple(_day(start, found[start], spec.task) for start in sorted(found))


def _times(
    lake: Lake, spec: PipelineSpec, snapshot: DataSnapshot, rows: pa.Table
) -> list[datetime | None] | None:
    """When each row happened; None where nothing says it."""
    _, times, _ = times_of(lake, snapshot, spec, rows)
    return None if times is None else [at and at.replace(tzinfo=UTC) for at in times.to_pylist()]


def _start(at: datetime, length: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=at.tzinfo)
    return epoch + length * ((at - epoch) // length)


def _day(start: datetime | None, labels: list[Any], task: str) -> LabelDay:
    known = [label for label in labels if label is not None]
    if task == "regression":
        numbers = [float(label) for label in known]
        sums = Sums(rows=len(numbers), total=sum(numbers), squares=sum(each**2 for each in numbers))
        return LabelDay(start=start, rows=len(known), numbers=sums)
    counts: dict[str, int] = {}
    for label in known:
        counts[label_text(label)] = counts.get(label_text(label), 0) + 1
    return LabelDay(start=start, rows=len(known), labels=counts)
