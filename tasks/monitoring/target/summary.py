"""Summaries of windows, kept in the lake: made when a window is checked, and again when labels come.

A summary is a row of `<model>__targets`; of one window the newest counts. The rows of a window are read when
its summary is made, and never for any later question.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import pyarrow as pa

from tasks.contracts import TargetSummary
from tasks.data.labelled import NEWEST, TAKEN_BACK
from tasks.monitoring.target.counting import Group, count, positive_class
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores.lake import Lake, arrow_schema
from tasks.stores.lake_sql import literal, quote

TARGETS: dict[str, ColumnType] = {
    "run_id": "string",
    "window_start": "timestamp",
    "window_end": "timestamp",
    "summary": "string",
}
"""The columns of `<model>__targets`; `summary` is a `TargetSummary` as JSON."""

CLOCKS = timedelta(days=1)
"""A label is taken for a prediction that is there, so it is later but for what gateways' clocks differ by."""
GROUP = "group "
"""What the name of a group's column begins with, where it stands beside columns of the log."""

Window = tuple[datetime, datetime]
Logs = Mapping[str, tuple[str, None]]

_NOTHING = pa.table(
    {
        "prediction_id": pa.array([], pa.string()),
        "prediction": pa.array([], pa.string()),
        "score": pa.array([], pa.float64()),
        "label": pa.array([], pa.string()),
    }
)


def summaries(
    lake: Lake, spec: PipelineSpec, run_id: str, window: Window, groups: Sequence[Group] = ()
) -> tuple[TargetSummary, ...]:
    """The summaries of a version's windows up to the end of this one, in order.

    Makes and keeps that of `window`, and again those of earlier windows that labels have come for, or were
    taken back from, since they were made.

    Args:
        run_id: The training run of the version.
        window: Its start and end by prediction time.
        groups: What the rows are divided by.
    """
    lake.create(_table(spec), TARGETS)
    # Before any label is read, so that one that comes meanwhile is new the next time.
    until = _labels_until(lake, spec)
    kept = {each_window(each): each for each in _kept(lake, spec, run_id)}
    wanted = sorted({window, *_changed(lake, spec, run_id, list(kept.values()))})
    made = [_made(lake, spec, run_id, each, groups) for each in wanted]
    told = [each.model_copy(update={"labels_until": until}) for each in made]
    _keep(lake, spec, told)
    kept |= {each_window(each): each for each in told}
    return tuple(kept[each] for each in sorted(kept) if each[1] <= window[1])


def kept_summaries(lake: Lake, spec: PipelineSpec, run_id: str) -> list[TargetSummary]:
    """The newest summary of each of a version's windows, as they were kept, in order; none is made."""
    return _kept(lake, spec, run_id) if lake.exists(_table(spec)) else []


def each_window(summary: TargetSummary) -> Window:
    return summary.window_start, summary.window_end


def _table(spec: PipelineSpec) -> str:
    return f"{spec.name}__targets"


def _kept(lake: Lake, spec: PipelineSpec, run_id: str) -> list[TargetSummary]:
    newest = (
        f"SELECT summary FROM targets WHERE run_id = {literal(run_id)} QUALIFY row_number() OVER "  # noqa: S608
        "(PARTITION BY window_start, window_end ORDER BY ingested_at DESC) = 1 "
        "ORDER BY window_start, window_end"
    )
    found = lake.query(newest, {"targets": (_table(spec), None)})
    return [TargetSummary.model_validate_json(text) for text in found["summary"].to_pylist()]


def _keep(lake: Lake, spec: PipelineSpec, made: Sequence[TargetSummary]) -> None:
    """Append summaries, once for each content, and all at once: the newest says until which label was looked.

    So a check that is killed leaves none of them, and the next one looks at the same labels.
    """
    texts = [each.model_dump_json() for each in made]
    rows = [
        {
            "run_id": each.run_id,
            "window_start": each.window_start,
            "window_end": each.window_end,
            "summary": text,
        }
        for each, text in zip(made, texts, strict=True)
    ]
    name = f"target-{sha256(chr(10).join(texts).encode()).hexdigest()}"
    lake.append(_table(spec), pa.Table.from_pylist(rows, schema=arrow_schema(TARGETS)), batch_id=name)


def _made(
    lake: Lake, spec: PipelineSpec, run_id: str, window: Window, groups: Sequence[Group]
) -> TargetSummary:
    positive = positive_class(spec)
    rows = _rows(lake, spec, run_id, window, groups)
    asked = groups if len(rows) else ()
    counted = count(lake, rows, spec.task, positive, asked)
    return TargetSummary(
        model=spec.name,
        run_id=run_id,
        task=spec.task,
        positive=positive,
        window_start=window[0],
        window_end=window[1],
        every=counted.every,
        bins=counted.bins,
        groups=counted.groups,
        not_numbers=counted.not_numbers,
        without_score=counted.without_score,
    )


def _rows(lake: Lake, spec: PipelineSpec, run_id: str, window: Window, groups: Sequence[Group]) -> pa.Table:
    """The version's predictions of the window, each with the label that counts."""
    logs = _logs(lake, spec)
    if "predictions" not in logs:
        return _NOTHING
    own = set(lake.columns(logs["predictions"][0]))
    named = [f"{_logged(each.column, own)} AS {quote(GROUP + each.column)}" for each in groups]
    start, end = (_sql(time) for time in window)
    sql = f"""
        WITH own AS (
            SELECT {", ".join(["prediction_id", "prediction", "score", *named])} FROM predictions
            WHERE predicted_at >= {start} AND predicted_at < {end} AND run_id = {literal(run_id)}
        ), chosen AS ({_chosen(lake, logs, window[0] - CLOCKS)})
        SELECT own.*, chosen.label FROM own LEFT JOIN chosen USING (prediction_id)
    """  # noqa: S608 - names and parts of our own
    return lake.query(sql, logs)


def _logs(lake: Lake, spec: PipelineSpec) -> dict[str, tuple[str, None]]:
    """The tables of the model's log that are there, by the names that queries know them by."""
    names = {"predictions": "predictions", "every_label": "feedback", "takebacks": "takebacks"}
    found = {view: f"{spec.name}__{log}" for view, log in names.items()}
    return {view: (table, None) for view, table in found.items() if lake.exists(table)}


def _logged(column: str, own: set[str]) -> str:
    """A group's column; of one that the model got since the log's table was made, what the request says."""
    return quote(column) if column in own else f"request ->> {literal('$.' + quote(column))}"


def _chosen(lake: Lake, logs: Logs, since: datetime) -> str:
    """The label that counts for each prediction: the newest that was not taken back.

    Args:
        since: When the first of them can have been received: files of earlier ones are not read.
    """
    if "every_label" not in logs:
        return "SELECT NULL::VARCHAR AS prediction_id, NULL::VARCHAR AS label LIMIT 0"
    kept = f"AND NOT {_taken_back(lake, logs)}" if "takebacks" in logs else ""
    return (
        f"SELECT prediction_id, label FROM every_label AS l WHERE received_at >= {_sql(since)} {kept} "  # noqa: S608 - parts of our own
        f"AND prediction_id IN (SELECT prediction_id FROM own) QUALIFY {NEWEST}"
    )


def _taken_back(lake: Lake, logs: Logs) -> str:
    """Whether a label is taken back; a table of an earlier Perennial lacks the sender."""
    has_sender = "sent_by" in lake.columns(logs["every_label"][0])
    return TAKEN_BACK if has_sender else TAKEN_BACK.replace("l.sent_by", "NULL")


def _sql(at: datetime) -> str:
    return f"TIMESTAMPTZ '{at.isoformat()}'"


def _labels_until(lake: Lake, spec: PipelineSpec) -> datetime | None:
    """When the newest label, or the newest word that labels are taken back, came into the lake."""
    logs = {view: table for view, table in _logs(lake, spec).items() if view != "predictions"}
    each = " UNION ALL ".join(f"SELECT max(ingested_at) AS newest FROM {view}" for view in logs)  # noqa: S608
    if not logs:
        return None
    [found] = lake.query(f"SELECT max(newest) AS newest FROM ({each})", logs)["newest"].to_pylist()  # noqa: S608
    return found if isinstance(found, datetime) else None


def _changed(lake: Lake, spec: PipelineSpec, run_id: str, kept: Sequence[TargetSummary]) -> list[Window]:
    """The windows whose labels are others than when the last check looked.

    Only labels that came, or were taken back, since then are read, and the version's own predictions of these
    windows; each check looks at all of them.
    """
    logs = _logs(lake, spec)
    if not kept or not {"predictions", "every_label"} <= set(logs):
        return []
    first = min(each.window_start for each in kept)
    seen = max((each.labels_until for each in kept if each.labels_until), default=None)
    labels = _new_labels(lake, logs, seen, first - CLOCKS)
    if not len(labels):
        return []
    windows = pa.table(
        {
            "window_start": [each.window_start for each in kept],
            "window_end": [each.window_end for each in kept],
        }
    )
    # The first start stands there by itself too: files of earlier predictions are not read then.
    sql = f"""
        SELECT DISTINCT window_start, window_end FROM windows
        JOIN predictions ON predicted_at >= window_start AND predicted_at < window_end
        WHERE prediction_id IN (SELECT prediction_id FROM labels)
        AND predicted_at >= {_sql(first)} AND run_id = {literal(run_id)}
    """  # noqa: S608 - a time and an id of our own
    found = lake.query(sql, {"predictions": logs["predictions"], "windows": windows, "labels": labels})
    return list(zip(found["window_start"].to_pylist(), found["window_end"].to_pylist(), strict=True))


def _new_labels(lake: Lake, logs: Logs, seen: datetime | None, since: datetime) -> pa.Table:
    """Of which predictions a label has come, or was taken back, after `seen`; ever, if None.

    Args:
        since: When the first of them can have been received.
    """
    new = "true" if seen is None else f"ingested_at > {_sql(seen)}"
    named = "takebacks" in logs and seen is not None
    takebacks = lake.query(f"SELECT * FROM takebacks WHERE {new}", logs) if named else ()  # noqa: S608 - a time
    own: dict[str, tuple[str, None] | pa.Table] = {"every_label": logs["every_label"]}
    if len(takebacks):
        new, own["takebacks"] = f"({new} OR {_taken_back(lake, logs)})", takebacks
    within = f"received_at >= {_sql(since)} AND {new}"
    sql = f"SELECT DISTINCT prediction_id FROM every_label AS l WHERE {within}"  # noqa: S608 - parts of our own
    return lake.query(sql, own)
