"""Make the reference that a champion's traffic is compared with: its own snapshot, day by day.

All rows of the snapshot set the scales. Where a column of the model's table says when a row happened, the
rows are divided into days, whose profiles say how much days differ. Days with few rows stand together.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import ColumnScale, JointNull, Reference, TrainingRun, WindowProfile
from tasks.errors import InvalidProject
from tasks.monitoring import domain_classifier
from tasks.monitoring.event_times import time_column_of, times_of
from tasks.monitoring.inputs.traits import traits
from tasks.monitoring.profiles.columns import Followed, followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.spec import ColumnType, PipelineSpec
from tasks.spec.cron import day_begins
from tasks.stores.lake import Lake
from tasks.stores.parts import read_part
from tasks.stores.sql_session import sql_session

MOST_DAYS = 180
"""So many of the newest days; older ones are of another season."""

FEWEST_ROWS_A_DAY = 100
JOINT_DAYS = 20
DAY = "perennial day"

Days = list[tuple[datetime, datetime, pa.Table]]


def make_reference(lake: Lake, run: TrainingRun, spec: PipelineSpec) -> Reference:
    """The reference of the champion that this run made.

    Raises:
        FrozenSetMismatch: A part of the snapshot is not the one that was frozen.
        InvalidProject: Every feature is a time.
    """
    snapshot = run.snapshot
    _require_comparable(spec)
    parts = [read_part(part) for part in (snapshot.train, snapshot.validation, snapshot.test) if part.rows]
    common = set(parts[0].column_names).intersection(*(part.column_names for part in parts))
    features = [name for name in spec.data.features if name in common]
    needed = dict.fromkeys(name for name in (spec.data.key, *features, *_times(spec)) if name in common)
    rows = pa.concat_tables(part.select(list(needed)) for part in parts)
    if not features:
        return _of_nothing(run, len(rows))
    types = {name: spec.data.feature_types[name] for name in features}
    texts = texts_of(rows, types)
    columns = followed(types, frozenset(texts))
    time_column, times, notes = times_of(lake, run.snapshot, spec, rows)
    rows = rows.select(features)
    days, merged = ([], False) if times is None else into_days(rows, times, day_begins(spec.monitor.schedule))
    scales, whole, profiles = _profiles(rows, columns, days, run)
    made = Reference(
        champion_run_id=run.run_id,
        snapshot_sha256=snapshot.sha256,
        scales=scales,
        days=without_own_values(profiles),
        whole=whole,
        merged=merged,
        time_column=time_column,
        texts=texts,
        notes=notes,
        provisional=times is None and time_column_of(spec) is not None,
    )
    return made.model_copy(update={"joint": _joint(made, days, spec)})


def _of_nothing(run: TrainingRun, rows: int) -> Reference:
    """The reference of a champion that was trained without any of the features that the model has now."""
    start, end = _span([], run)
    return Reference(
        champion_run_id=run.run_id,
        snapshot_sha256=run.snapshot.sha256,
        scales=(),
        days=(),
        whole=WindowProfile(start=start, end=end, rows=rows, different_rows=0, columns={}),
    )


def without_lost(reference: Reference, spec: PipelineSpec) -> Reference:
    """The reference without what is about a feature that the model has lost, or has as another type; itself
    where there is none.
    """
    types = spec.data.feature_types
    texts = tuple(name for name in reference.texts if types.get(name) == "string")
    there = {(column.name, column.kind) for column in followed(types, frozenset(texts))}
    kept = tuple(scale for scale in reference.scales if (scale.column, scale.kind) in there)
    lost = [scale.column for scale in reference.scales if scale not in kept]
    if not lost:
        return reference
    names = {scale.column for scale in kept}

    def narrowed(window: WindowProfile) -> WindowProfile:
        columns = {name: own for name, own in window.columns.items() if name in names}
        return window.model_copy(update={"columns": columns})

    note = f"No feature of the model any more, or of another type now, and not followed: {', '.join(lost)}."
    return reference.model_copy(
        update={
            "scales": kept,
            "texts": texts,
            "whole": narrowed(reference.whole),
            "days": tuple(narrowed(day) for day in reference.days),
            "notes": (*reference.notes, note),
        }
    )


def _require_comparable(spec: PipelineSpec) -> None:
    if domain_classifier.TIMES.issuperset(spec.data.feature_types.values()):
        raise InvalidProject(
            f"models/{spec.name}/pipeline.yaml: every feature is a time, and times always move on. The drift "
            "check needs one that is not."
        )


def _times(spec: PipelineSpec) -> tuple[str, ...]:
    name = time_column_of(spec)
    return () if name is None else (name,)


def texts_of(rows: pa.Table, types: dict[str, ColumnType]) -> tuple[str, ...]:
    """The columns that hold text, not one of a set of names."""
    strings = {name: kind for name, kind in types.items() if kind == "string"}
    frame = rows.select(list(strings)).to_pandas()
    kinds = domain_classifier.kinds_of(strings, frame)
    return tuple(name for name, kind in kinds.items() if kind == "text")


def into_days(rows: pa.Table, times: pa.ChunkedArray, begins: timedelta = timedelta()) -> tuple[Days, bool]:
    """The rows of each of the newest days (UTC), and whether small days stand together.

    A row without a time is in none.

    Args:
        begins: At which time a day begins: where windows do, or a window would be of two days. Where the
            times are dates, at midnight.
    """
    dates = pc.all(pc.equal(times, pc.floor_temporal(times, unit="day"))).as_py()
    begun = pa.scalar(timedelta() if dates else begins, pa.duration("us"))
    days = pc.add(pc.floor_temporal(pc.subtract(times, begun), unit="day"), begun)
    dated = rows.append_column(DAY, days)
    dated = dated.filter(pc.is_valid(dated[DAY])).sort_by(DAY)
    counted = pc.value_counts(dated[DAY].combine_chunks())
    starts, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    if not starts:
        return [], False
    merged = bool(np.median(counts) < FEWEST_ROWS_A_DAY)
    return list(_sliced(dated.drop_columns([DAY]), starts, counts, merged=merged))[-MOST_DAYS:], merged


def _sliced(
    rows: pa.Table, starts: list[datetime], counts: list[int], *, merged: bool
) -> Iterator[tuple[datetime, datetime, pa.Table]]:
    """Each day's rows, or of days in a row as many as have enough together; a single small day is left
    out."""
    first, held, since = 0, 0, None
    for start, count in zip(starts, counts, strict=True):
        since = start if since is None else since
        held += count
        if merged and held < FEWEST_ROWS_A_DAY:
            continue
        if held >= FEWEST_ROWS_A_DAY:
            yield _utc(since), _utc(start) + timedelta(days=1), rows.slice(first, held)
        first, held, since = first + held, 0, None


def _profiles(
    rows: pa.Table, columns: tuple[Followed, ...], days: Days, run: TrainingRun
) -> tuple[tuple[ColumnScale, ...], WindowProfile, tuple[WindowProfile, ...]]:
    """The scales, the profile of all rows, and that of each day."""
    with sql_session() as session:
        session.register("reference", rows)
        scales = set_scales(session, "reference", columns)
        whole = profile(session, "reference", columns, scales, *_span(days, run))
        profiles = []
        for start, end, own in days:
            session.register("day", own)
            profiles.append(profile(session, "day", columns, scales, start, end))
        return scales, whole, tuple(profiles)


def without_own_values(days: tuple[WindowProfile, ...]) -> tuple[WindowProfile, ...]:
    """The days, with values that only one day has counted as new to it: as they would be to a reference that
    it is not part of.
    """
    if len(days) < 2:
        return days
    counts = {name: np.array([day.columns[name].counts for day in days]) for name in days[0].columns}
    once = {name: (found > 0).sum(axis=0) == 1 for name, found in counts.items() if found.shape[1]}
    return tuple(
        day.model_copy(
            update={
                "columns": {
                    name: own.model_copy(
                        update={"new": own.new + int(counts[name][number][once[name]].sum())}
                    )
                    if name in once
                    else own
                    for name, own in day.columns.items()
                }
            }
        )
        for number, day in enumerate(days)
    )


def _joint(reference: Reference, days: Days, spec: PipelineSpec) -> JointNull | None:
    """How well a classifier tells some of the days from the others, at equal sizes."""
    if len(days) < JOINT_DAYS:
        return None
    kinds = joint_kinds(reference, spec)
    if not kinds:
        return None
    picked = np.linspace(0, len(days) - 1, JOINT_DAYS).round().astype(int)
    frames = [_frame(days[number][2], kinds, spec) for number in range(len(days))]
    aucs = []
    for number in picked:
        others = pd.concat([frame for place, frame in enumerate(frames) if place != number])
        aucs.append(domain_classifier.tell_apart(frames[number], _sample(others, kinds, spec), kinds))
    known = [auc for auc in aucs if np.isfinite(auc)]
    rows = int(np.median([len(frames[number]) for number in picked]))
    return JointNull(aucs=tuple(known), rows=rows) if len(known) == len(aucs) else None


def joint_kinds(reference: Reference, spec: PipelineSpec) -> dict[str, domain_classifier.Kind]:
    """The columns that the domain classifier sees: those whose values are followed."""
    left_out = {trait.column for trait in traits(reference)}
    kinds: dict[str, domain_classifier.Kind] = {}
    for name, declared in spec.data.feature_types.items():
        if name in reference.texts:
            kinds[name] = "text"
        elif any(scale.column == name for scale in reference.scales) and name not in left_out:
            kinds[name] = "category" if declared in {"string", "bool"} else "number"
    return kinds


def _frame(rows: pa.Table, kinds: dict[str, domain_classifier.Kind], spec: PipelineSpec) -> pd.DataFrame:
    return _sample(rows.select(list(kinds)).to_pandas(), kinds, spec)


def _sample(rows: pd.DataFrame, kinds: dict[str, domain_classifier.Kind], spec: PipelineSpec) -> pd.DataFrame:
    return domain_classifier.sample(
        domain_classifier.distinct(rows.reset_index(drop=True), kinds), spec.monitor.maximum_rows
    )


def _span(days: Days, run: TrainingRun) -> tuple[datetime, datetime]:
    if days:
        return days[0][0], days[-1][1]
    return run.snapshot.version_at, run.snapshot.version_at + timedelta(microseconds=1)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)
