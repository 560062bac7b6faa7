"""The windows of a model's predictions: their rows, and their profiles on the champion's scales."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import ColumnProfile, Reference, WindowProfile
from tasks.data.typed_values import from_python
from tasks.monitoring.profiles import stored
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.spec import FEWEST_ROWS, MonitorSpec, PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.sql_session import sql_session

Span = tuple[datetime, datetime]

DAY = timedelta(days=1)
MOST_MISSED = 30
"""So many windows that were not checked are made up for."""

MOST_FOLLOWED = 120
"""So many windows are followed; of small ones so many that stand together."""

ALIKE = 0.1
"""By this share the lengths of windows may differ whose numbers of rows are compared."""

PREDICTED_AT = "predicted_at"


def rows_between(lake: Lake, spec: PipelineSpec, start: datetime, end: datetime) -> pa.Table:
    """The features of the predictions of [start, end), in the order of their ids, and when each came."""
    table, data = f"{spec.name}__predictions", spec.data
    features = list(data.features)
    if not lake.exists(table):
        times = pa.nulls(0, pa.timestamp("us", "UTC"))
        return from_python([], data.feature_types).rows.append_column(PREDICTED_AT, times)
    where = f"predicted_at >= {_sql(start)} AND predicted_at < {_sql(end)} ORDER BY prediction_id"
    logged = lake.query(f'SELECT * FROM "{table}" LIMIT 0', [table]).column_names  # noqa: S608 - a name
    if set(features) <= set(logged):
        return lake.read(table, columns=[*features, PREDICTED_AT], where_sql=where)
    # The model has had another feature since its table was made: the whole instances are in `request`.
    asked = lake.read(table, columns=["request", PREDICTED_AT], where_sql=where)
    instances = [json.loads(instance) for instance in asked["request"].to_pylist()]
    rows = from_python(instances, data.feature_types)
    return rows.rows.append_column(PREDICTED_AT, asked[PREDICTED_AT])


def profile_of(rows: pa.Table, reference: Reference, spec: PipelineSpec, span: Span) -> WindowProfile:
    """The profile of a window's rows on the reference's scales."""
    known = {scale.column for scale in reference.scales}
    columns = [
        column
        for column in followed(spec.data.feature_types, frozenset(reference.texts))
        if column.name in known
    ]
    scales = {scale.column: scale for scale in reference.scales}
    with sql_session() as session:
        session.register("window", rows)
        made = profile(session, "window", columns, [scales[column.name] for column in columns], *span)
    last = pc.max(rows[PREDICTED_AT]).as_py() if len(rows) else None
    return made.model_copy(update={"last_at": last})


def profiles_until(
    lake: Lake, spec: PipelineSpec, reference: Reference, span: Span, rows: pa.Table
) -> list[WindowProfile]:
    """The profiles of the champion's windows up to this one, in their order, none overlapping another.

    What is not kept yet is profiled now: this window, and the ones of its length right before it, which were
    not checked because nothing ran.

    Args:
        rows: Of this window.
    """
    name, champion = spec.name, reference.champion_run_id
    known = stored.profiles_of(lake, name, champion)
    for missed in _missed(known, span):
        made = profile_of(rows_between(lake, spec, *missed), reference, spec, missed)
        stored.keep_profile(lake, name, champion, made)
        known[missed] = made
    own = known.get(span)
    if own is None or own.rows != len(rows):
        own = profile_of(rows, reference, spec, span)
        stored.keep_profile(lake, name, champion, own)
    return newest([*_in_a_row(known.values(), span[0]), own], spec.monitor)


def _missed(known: Iterable[Span], span: Span) -> list[Span]:
    """The windows between the last that is kept and this one, of this one's length; of days and longer
    ones."""
    length = span[1] - span[0]
    ends = [end for _, end in known if end <= span[0]]
    if not ends or length < DAY:
        return []
    count = min(MOST_MISSED, int((span[0] - max(ends)) / length))
    return [(span[0] - number * length, span[1] - number * length) for number in range(count, 0, -1)]


def _in_a_row(known: Iterable[WindowProfile], before: datetime) -> list[WindowProfile]:
    """Windows that end before this time, in their order; of two that overlap the one that ends last."""
    kept: list[WindowProfile] = []
    start = before
    for window in sorted(known, key=lambda one: (one.end, one.start), reverse=True):
        if window.end <= start:
            kept.append(window)
            start = window.start
    return kept[::-1]


def newest(windows: list[WindowProfile], rules: MonitorSpec) -> list[WindowProfile]:
    """Those that are followed. They begin with a whole pool of small ones: else the pools would be others
    with every window that is dropped, and some sizes would never be complete when they are looked at.
    """
    pools = judged_together(windows, rules)
    if len(pools) <= MOST_FOLLOWED:
        return windows
    return [window for window in windows if window.start >= pools[-MOST_FOLLOWED].start]


def alike(windows: Sequence[WindowProfile]) -> list[WindowProfile]:
    """Those that are about as long as the last one."""
    length = windows[-1].end - windows[-1].start
    return [one for one in windows if abs((one.end - one.start) / length - 1) <= ALIKE]


def judged_together(windows: Sequence[WindowProfile], rules: MonitorSpec) -> list[WindowProfile]:
    """What is judged at once: a window, or small ones in a row that have enough rows together."""
    return large_enough(windows, max(rules.minimum_window_rows, FEWEST_ROWS))


def judged_window(windows: Sequence[WindowProfile], rules: MonitorSpec) -> WindowProfile:
    """What the last window is judged as: with the small ones before it that make it enough, where they do."""
    judged = judged_together(windows, rules)
    return judged[-1] if judged and judged[-1].end == windows[-1].end else windows[-1]


def judged_with(windows: Sequence[WindowProfile], rules: MonitorSpec) -> list[WindowProfile]:
    """The small windows that are judged together with the last one, which makes them enough; it stands at
    their end. Empty where it is judged alone, or not yet.
    """
    pools, last = judged_together(windows, rules), windows[-1]
    whole = pools and pools[-1].end == last.end and pools[-1].start < last.start
    return [window for window in windows if window.start >= pools[-1].start] if whole else []


def large_enough(windows: Sequence[WindowProfile], fewest: int) -> list[WindowProfile]:
    """Small windows in a row as one, until it has so many rows; the last is left out while it has too few."""
    found: list[WindowProfile] = []
    held: list[WindowProfile] = []
    for window in windows:
        held.append(window)
        if sum(one.rows for one in held) >= fewest:
            found.append(_pooled(held))
            held = []
    return found


def _pooled(windows: list[WindowProfile]) -> WindowProfile:
    if len(windows) == 1:
        return windows[0]
    return WindowProfile(
        start=windows[0].start,
        end=windows[-1].end,
        rows=sum(one.rows for one in windows),
        different_rows=sum(one.different_rows for one in windows),
        last_at=windows[-1].last_at,
        columns={name: _together([one.columns[name] for one in windows]) for name in _in_all(windows)},
    )


def _in_all(windows: list[WindowProfile]) -> list[str]:
    """The columns that every one has: the model may have lost a feature in between."""
    return [name for name in windows[-1].columns if all(name in one.columns for one in windows)]


def _together(profiles: list[ColumnProfile]) -> ColumnProfile:
    totals = [one.total for one in profiles if one.total is not None]
    return ColumnProfile(
        nulls=sum(one.nulls for one in profiles),
        counts=tuple(int(count) for count in np.sum([one.counts for one in profiles], axis=0)),
        new=sum(one.new for one in profiles),
        # Two windows may have the same values: the larger number is what is sure.
        distinct=max(one.distinct for one in profiles),
        total=sum(totals) if totals else None,
    )


def _sql(time: datetime) -> str:
    return f"TIMESTAMPTZ '{time.astimezone(UTC).isoformat()}'"
