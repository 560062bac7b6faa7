"""The charts of a check: the evidence of both detectors, volume, the classifier, and the model's metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tasks.contracts import JointNull, Verdict, WindowProfile
from tasks.monitoring.inputs.columns import Columns, alarms
from tasks.monitoring.page.contents import Series
from tasks.monitoring.page.lines import LINES, Asked, Chart, Limit, Line, Point, chart
from tasks.monitoring.page.words import name_of, number


@dataclass(frozen=True)
class Earlier:
    """What a check said of the window that starts at `time`."""

    time: datetime
    verdict: Verdict
    domain_auc: float | None


def charts_of(
    columns: Columns | None,
    judged: Sequence[WindowProfile],
    windows: Sequence[WindowProfile],
    checks: Sequence[Earlier],
    joint: tuple[JointNull | None, float | None],
) -> tuple[Chart, ...]:
    """Everything that was measured over time.

    Args:
        judged: The windows that the rows of `columns` are about.
        windows: All windows, in their order.
        checks: Every window's last check, this one at the end.
        joint: How well the classifier tells the reference's days apart, and what its AUC had to exceed.
    """
    of_columns = [] if columns is None else [slow(columns, judged), fast(columns, judged)]
    found = [*of_columns, volume(windows, checks), classifier(checks, *joint)]
    return tuple(one for one in found if one is not None)


def slow(columns: Columns, judged: Sequence[WindowProfile]) -> Chart | None:
    """The evidence that has added up, on a logarithmic axis, with its limit."""
    followed = columns.charts
    points = tuple(
        Point(window.start, float(value), marked=bool(value >= followed.limit))
        for window, value in zip(judged, followed.evidence, strict=True)
    )
    told = (
        "The slow detector adds up small changes that stay. It alarms when the evidence of all columns "
        "together reaches its limit. The axis is logarithmic and begins at 0.1."
    )
    limit = Limit("alarms from", followed.limit)
    return chart(Asked("Evidence that adds up", told, [Line("Evidence", points)], [limit], unit="log"))


def fast(columns: Columns, judged: Sequence[WindowProfile]) -> Chart | None:
    """The statistics that are off the most now, each in units of its own threshold."""
    z, thresholds, sure = np.nan_to_num(columns.z), columns.charts.thresholds, alarms(columns)
    off = z / np.maximum(thresholds, 1e-9)
    order = np.argsort(-(np.abs(off[-1]) + sure[-1]), kind="stable")[:LINES]
    lines = [
        Line(
            f"{name_of(columns.statistics[place])} "
            f"({number(float(z[-1, place]))} now, {number(float(thresholds[place]))} needed)",
            tuple(
                Point(window.start, float(off[row, place]), marked=bool(sure[row, place]))
                for row, window in enumerate(judged)
            ),
        )
        for place in order
    ]
    told = (
        "How far the statistics that are off the most are from what is usual, in standard deviations of a "
        "day, divided by each one's threshold. One that is beyond 1, or -1, on two of three windows in a row "
        "alarms where the change is large enough to matter; a gross change, or one of many columns, at once."
    )
    limits = [Limit("threshold", 1.0), Limit("threshold", -1.0)]
    return chart(Asked("Largest changes", told, lines, limits, with_zero=True))


def volume(windows: Sequence[WindowProfile], checks: Sequence[Earlier]) -> Chart | None:
    """The rows of each window; those whose check said that the data is broken are marked."""
    broken = {check.time for check in checks if check.verdict == "incident"}
    points = tuple(
        Point(window.start, float(window.rows), marked=window.start in broken) for window in windows
    )
    told = "How many predictions each window has. Windows whose check was an incident are marked."
    return chart(Asked("Volume", told, [Line("Predictions", points)], form="bars", with_zero=True))


def classifier(checks: Sequence[Earlier], null: JointNull | None, threshold: float | None) -> Chart | None:
    """The domain classifier's AUC over the windows, and how well it tells the reference's days apart."""
    points = tuple(
        Point(
            check.time,
            check.domain_auc,
            marked=threshold is not None and check.domain_auc > threshold,
        )
        for check in checks
        if check.domain_auc is not None
    )
    usual = (min(null.aucs), max(null.aucs)) if null is not None and null.aucs else None
    told = (
        "How well a classifier tells the rows of a window from the reference, all columns together: 0.5 is "
        "not at all, 1 without an error. Windows above the threshold are marked; one alone alarms only where "
        "it is far above."
    )
    limits = [] if threshold is None else [Limit("threshold", threshold)]
    asked = Asked(
        "All columns together",
        told,
        [Line("ROC AUC", points)],
        limits,
        band=usual,
        band_name="the reference's own days",
    )
    return chart(asked)


def quality_of(series: Sequence[Series]) -> tuple[Chart, ...]:
    """The model's metrics over time, with their intervals where they have some."""
    found = (
        chart(Asked(one.title, one.told, one.lines, one.limits, unit="share" if one.is_share else "number"))
        for one in series
    )
    return tuple(one for one in found if one is not None)
