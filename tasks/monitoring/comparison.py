"""Compare a window of predictions with the champion's reference.

In this order, and no further than each finding allows: is the window valid (its volume, its end, frozen or
repeated rows, missing values, the table's own suite), has a column changed, have all of them together? Broken
data is an incident and never a reason to retrain, so it is not judged on its distribution.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.contracts import (
    ColumnDistance,
    DataSnapshot,
    Reference,
    Signal,
    TrainingRun,
    ValidationReport,
    WindowProfile,
)
from tasks.monitoring import domain_classifier
from tasks.monitoring.decide import Findings
from tasks.monitoring.domain_classifier import Kind
from tasks.monitoring.drift_report import ReportNotDrawn, write_report
from tasks.monitoring.inputs.columns import Columns, look_at_columns
from tasks.monitoring.inputs.joint import look_at_all, threshold_of
from tasks.monitoring.inputs.reference import joint_kinds
from tasks.monitoring.inputs.serving_weeks import missing
from tasks.monitoring.new_rows import count_new_rows
from tasks.monitoring.validity import look_at_validity
from tasks.monitoring.windows import PREDICTED_AT, alike, judged_together
from tasks.spec import FEWEST_ROWS, MonitorSpec, PipelineSpec
from tasks.spec.cron import fires_a_day
from tasks.stores import files
from tasks.stores.parts import read_part

SHARES = {"input": 0.4, "joint": 0.1, "validity": 0.1, "target": 0.4}
"""How the false alarms of monitor.false_alarms_per_year are shared out."""

MOST_WINDOWS_A_YEAR = 365.0
"""A check by hand, of a window shorter than a day, counts as a day's."""


MOST_RATE = 0.5
"""No rule lets more than every other window alarm for nothing."""


@dataclass(frozen=True)
class Seen:
    """What a window is judged by.

    Attributes:
        rows: Its rows, and those of the small windows that are judged with it: the features, and when each
            was asked for.
        windows: The profiles of the windows up to it, in their order.
        earlier_aucs: The domain classifier's AUC of what was judged before it, the last one at the end; NaN
            where it was not asked.
        since: Where `rows` begin, if before the window.
        quiet_windows: How many windows of the champion were quiet so far.
    """

    rows: pa.Table
    windows: Sequence[WindowProfile]
    earlier_aucs: Sequence[float]
    since: datetime | None = None
    quiet_windows: int = 0


@dataclass(frozen=True)
class Compared:
    """What a comparison gives, beside what is decided on: for the records and for people.

    Attributes:
        auc_threshold: What the classifier's AUC had to exceed; None where it was not asked.
    """

    findings: Findings
    validation: ValidationReport | None = None
    distances: tuple[ColumnDistance, ...] = ()
    report_url: str | None = None
    columns: Columns | None = None
    auc_threshold: float | None = None


def rate_of(rules: MonitorSpec, part: str, length: timedelta) -> float:
    """How many false alarms one window may give.

    Args:
        part: A key of `SHARES`.
        length: How long a window is. Where checks are more frequent than that, each may give less.
    """
    checks = min(MOST_WINDOWS_A_YEAR, timedelta(days=365.25) / length)
    if (a_day := fires_a_day(rules.schedule)) > 1:
        checks = MOST_WINDOWS_A_YEAR * a_day
    return min(rules.false_alarms_per_year * SHARES[part] / checks, MOST_RATE)


def compare(
    seen: Seen, reference: Reference, run: TrainingRun, spec: PipelineSpec, work_url: str
) -> Compared:
    """What is found out about a window.

    Raises:
        InvalidProject: No expectation of the suite is about a feature, or no feature can be compared.
        FrozenSetMismatch: The champion's validation part is not the one that its snapshot froze.
    """
    rules, window = spec.monitor, seen.windows[-1]
    length = window.end - window.start
    found = Findings(
        window_rows=len(seen.rows),
        signals=look_at_validity(reference, alike(seen.windows), rate_of(rules, "validity", length)),
        notes=(*reference.notes, *_pooled(seen)),
    )
    columns = _columns(seen, reference, spec)
    if columns is not None:
        signals = (*(found.signals or ()), *columns.signals)
        found = replace(found, signals=signals, notes=_notes(found, columns, reference, seen))
    if len(seen.rows) < rules.minimum_window_rows:
        return Compared(found, columns=columns)
    # Imports Great Expectations: seconds that a model without traffic does not pay every day.
    from tasks.data.suites import load_suites
    from tasks.data.validate import check_rows

    checked = check_rows(
        seen.rows.drop_columns([PREDICTED_AT]),
        load_suites(spec.data),
        str(files.at(work_url, "validation")),
        only_columns=spec.data.features,
    )
    found = replace(found, bad_share=checked.broken_share)
    if checked.broken_share > rules.maximum_bad_share:
        return Compared(found, checked.report, columns=columns)
    whole = _frame(seen.rows.filter(pa.array(~checked.broken_mask)))
    compared = _tell_apart(found, whole, seen, reference, run, spec, work_url)
    return replace(compared, validation=checked.report, columns=columns)


def _pooled(seen: Seen) -> Iterator[str]:
    if seen.since is not None:
        yield (
            f"Judged together with the windows since {seen.since:%Y-%m-%d %H:%M}: none of them has the rows "
            "of monitor.minimum_window_rows alone."
        )


def _columns(seen: Seen, reference: Reference, spec: PipelineSpec) -> Columns | None:
    """What the columns say; None while no window, and no windows together, have enough rows."""
    window = seen.windows[-1]
    if not reference.scales:
        return None
    judged = judged_together(seen.windows, spec.monitor)
    if not judged or judged[-1].end != window.end:
        return None
    rate = rate_of(spec.monitor, "input", window.end - window.start)
    return look_at_columns(reference, judged, spec.monitor, rate)


def _notes(found: Findings, columns: Columns, reference: Reference, seen: Seen) -> tuple[str, ...]:
    told = [f"Not followed: {trait.why}" for trait in columns.left_out]
    if not columns.calibrated:
        more = missing(reference, seen.quiet_windows)
        told.append(
            f"How much days differ is not known yet: the reference has {columns.days} of the "
            f"{columns.needed} days that it takes. The champion's own quiet windows will tell it: there are "
            f"{seen.quiet_windows}, and {more} more are needed. Until then only large changes count."
        )
    return (*found.notes, *told)


def _tell_apart(
    found: Findings,
    whole: pd.DataFrame,
    seen: Seen,
    reference: Reference,
    run: TrainingRun,
    spec: PipelineSpec,
    work_url: str,
) -> Compared:
    """What the classifier finds, where there are enough rows on both sides."""
    known, left_out = _known(run.snapshot, spec)
    kinds = {name: kind for name, kind in joint_kinds(reference, spec).items() if name in known.columns}
    if not known.columns.size:
        return Compared(replace(found, unknown=(_nothing(left_out),)))
    found = replace(found, new_fields=tuple(left_out), notes=(*found.notes, *_told(left_out)))
    if not kinds:
        return Compared(_with_new_rows(found, run, spec))
    rules = spec.monitor
    sides = [domain_classifier.distinct(rows, kinds) for rows in (whole, known)]
    usable, reference_rows = (len(side) for side in sides)
    found = replace(found, usable_rows=usable, reference_rows=reference_rows)
    if usable < max(rules.minimum_window_rows, FEWEST_ROWS) or reference_rows < FEWEST_ROWS:
        return Compared(found)
    own, other = (domain_classifier.sample(side, rules.maximum_rows) for side in sides)
    separation = domain_classifier.separate(own, other, kinds, rules.false_alarm_share)
    joint, threshold = _joint(separation, seen, reference, spec)
    report_url, not_drawn = _report(own, other, kinds, work_url)
    found = replace(
        _with_new_rows(found, run, spec),
        domain_auc=separation.auc,
        null_auc=separation.null_auc,
        signals=(*(found.signals or ()), *joint),
    )
    distances = domain_classifier.column_distances(own, other, kinds, separation.auc)
    return Compared(
        replace(found, notes=(*found.notes, *not_drawn)),
        distances=distances,
        report_url=report_url,
        auc_threshold=threshold,
    )


def _joint(
    separation: domain_classifier.Separation, seen: Seen, reference: Reference, spec: PipelineSpec
) -> tuple[tuple[Signal, ...], float | None]:
    """What the classifier notices, and what its AUC had to exceed."""
    if not np.isfinite([separation.auc, separation.null_auc]).all():
        return (), None
    window, rules = seen.windows[-1], spec.monitor
    rate = rate_of(rules, "joint", window.end - window.start)
    limits = (reference.joint, rules.domain_auc, separation.null_auc, rate)
    served = reference.serving_windows > 0
    signal = look_at_all([*seen.earlier_aucs, separation.auc], *limits, served=served)
    threshold = threshold_of(*limits, served=served)
    return () if signal is None else (signal.model_copy(update={"since": window.start}),), threshold


def _with_new_rows(found: Findings, run: TrainingRun, spec: PipelineSpec) -> Findings:
    new = count_new_rows(run.snapshot, spec.data)
    return replace(found, new_rows=new.rows, unknown=new.unknown, notes=(*found.notes, *new.notes))


def _report(
    window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind], work_url: str
) -> tuple[str | None, tuple[str, ...]]:
    """The URL of the report for people, or why there is none: the verdict does not wait for it."""
    try:
        return write_report(window, reference, kinds, work_url), ()
    except ReportNotDrawn as error:
        return None, (str(error),)


def _told(left_out: list[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (
        f"Not compared: {', '.join(left_out)}. The champion was trained without, so there is nothing to "
        "compare with until a version that has them serves.",
    )


def _nothing(left_out: list[str]) -> str:
    return (
        f"The champion was trained without the features {', '.join(left_out)}, and there is none "
        "beside them to compare. Train and release a version that has them."
    )


def _known(snapshot: DataSnapshot, spec: PipelineSpec) -> tuple[pd.DataFrame, list[str]]:
    """The features of the champion's validation part, rows that it did not learn from, and those it lacks."""
    rows = read_part(snapshot.validation)
    known = [name for name in spec.data.features if name in rows.column_names]
    return _frame(rows.select(known)), [name for name in spec.data.features if name not in known]


def _frame(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas()
    return frame
