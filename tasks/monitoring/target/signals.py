"""Say what windows of predictions and labels mean: a pure function of their summaries.

Each detector's evidence is computed anew over all windows of the version, so the same summaries, reference
and rules give the same signals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf, log, sqrt

from tasks.contracts import Signal, TargetReference, TargetSummary
from tasks.monitoring.target import estimate, measures, windows
from tasks.monitoring.target.detector import Detector, Trace, trace, variance_of
from tasks.monitoring.target.detectors import alarms_a_year, families, watched_of
from tasks.monitoring.target.evidence import Measured, log_threshold
from tasks.monitoring.target.gaps import Gap
from tasks.monitoring.target.measures import REACH
from tasks.monitoring.target.notes import estimates, facts
from tasks.spec import MonitorSpec, kind_of

SUSPICIOUS = log(10.0)
"""Evidence of a tenth of the threshold is told."""
KEPT = 0.25
"""With less than so much of its agreement left, a model's labels are wrong rather than its world another: the
gate's rule of label incidents says the same.
"""
OF_PREDICTIONS = ("prediction_shares",)
RANKS = ("incident", "alarm", "suspicious", "note")


@dataclass(frozen=True)
class Point:
    """One window for a plot.

    Attributes:
        metric, low, high: By labels, with the 95 % interval of sampling; None where they do not define it, or
            are fewer than `FEWEST_ROWS`.
        estimated, estimated_low, estimated_high: By confidence.
        labels, predictions: The share of each class.
    """

    start: datetime
    rows: int
    labelled: int
    metric: float | None
    low: float | None
    high: float | None
    estimated: float | None
    estimated_low: float | None
    estimated_high: float | None
    labels: dict[str, float]
    predictions: dict[str, float]


def signals(
    history: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec
) -> tuple[Signal, ...]:
    """What the windows of one version say, the gravest first.

    Args:
        history: The summaries of the version's windows, in any order.
    """
    ordered = windows.in_order(history)
    if not any(each.every.rows for each in ordered):
        return ()
    counting = windows.with_labels(ordered)
    found = [*facts(ordered, counting, reference, rules)]
    traced = traces(ordered, reference, rules)
    for family, each in traced.items():
        found += [told for one in each if (told := _told(family, one)) is not None]
    name = watched_of(ordered, reference)
    [performance] = traced["performance"]
    boundary = (
        measures.as_metric(name, performance.boundaries[-1])
        if performance.starts
        else _promised(performance, name)
    )
    found += estimates(name, ordered, counting, reference, boundary)
    return tuple(sorted(found, key=lambda signal: RANKS.index(signal.level)))


def traces(
    history: Sequence[TargetSummary], reference: TargetReference, rules: MonitorSpec
) -> dict[str, tuple[Trace, ...]]:
    """The evidence of every detector over the windows, by family; for decisions and for plots."""
    ordered = windows.in_order(history)
    counting = windows.with_labels(ordered)
    asked = families(ordered, reference, rules)
    allowed, a_year = alarms_a_year(asked, rules), windows.windows_a_year(ordered)
    return {
        family: tuple(
            trace(
                each,
                ordered if family in OF_PREDICTIONS or _needs_no_labels(each) else counting,
                log_threshold(allowed[family], a_year),
            )
            for each in found
        )
        for family, found in asked.items()
    }


def _needs_no_labels(detector: Detector) -> bool:
    return detector.subject.startswith(("selection_rate", "mean_prediction"))


def series(history: Sequence[TargetSummary], reference: TargetReference) -> tuple[Point, ...]:
    """The windows in order, for plots."""
    ordered = windows.in_order(history)
    name = watched_of(ordered, reference)
    checked = estimate.check(name, windows.with_labels(ordered))
    wrong = estimate.calibration_of(checked, reference.metrics.get("calibration_error"))
    return tuple(_point(name, each, wrong) for each in ordered)


def _point(name: str, seen: TargetSummary, calibration: float) -> Point:
    said = estimate.estimate(name, seen, calibration)
    found = measures.loss(name, seen) if seen.every.labelled >= measures.FEWEST_ROWS else None
    value, low, high = _with_interval(name, found) if found is not None else (None, None, None)
    return Point(
        start=seen.window_start,
        rows=seen.every.rows,
        labelled=seen.every.labelled,
        metric=value,
        low=low,
        high=high,
        estimated=said.value if said else None,
        estimated_low=said.low if said else None,
        estimated_high=said.high if said else None,
        labels=_shares(seen.every.labels),
        predictions=_shares(seen.every.predicted),
    )


def _with_interval(name: str, found: Measured) -> tuple[float, float, float]:
    """With its 95 % interval: Wilson's of a plain share, of others the normal one, as far as they can be.

    Source: Wilson, J. Am. Stat. Assoc. 22:209 (1927).
    """
    value = measures.as_metric(name, found.value)
    if name == "accuracy":
        from scipy.stats import binomtest

        interval = binomtest(round(value * found.rows), round(found.rows)).proportion_ci(method="wilson")
        return value, float(interval.low), float(interval.high)
    reach, most = REACH * sqrt(variance_of(found)), 1.0 if kind_of(name).is_share else inf
    ends = (measures.as_metric(name, min(max(found.value + each, 0.0), most)) for each in (-reach, reach))
    low, high = sorted(ends)
    return value, low, high


def _shares(counts: dict[str, int]) -> dict[str, float]:
    rows = sum(counts.values())
    return {name: each / rows for name, each in counts.items()}


def _promised(performance: Trace, name: str) -> float | None:
    known = performance.detector.known
    return measures.as_metric(name, known.value + performance.detector.floor) if known else None


def _told(family: str, found: Trace) -> Signal | None:
    if not found.starts or found.log_evidence < found.log_threshold - SUSPICIOUS:
        return None
    value, boundary, expected = found.mean_since(), found.boundaries[-1], found.expected[-1].center
    collapsed = family == "agreement" and -value < KEPT * -expected
    level = ("incident" if collapsed else "alarm") if found.alarmed else "suspicious"
    shown = [_shown(family, found, each) for each in (value, boundary, expected)]
    since = found.starts[found.since()]
    return Signal.model_validate(
        {
            "question": "target",
            "reason": found.detector.reason,
            "subject": found.detector.subject,
            "level": level,
            "value": shown[0],
            "threshold": shown[1],
            "unit": found.detector.subject if family == "performance" else "",
            "since": since,
            "why": _why(family, found.detector, shown, since, level),
        }
    )


def _shown(family: str, found: Trace, value: float) -> float:
    """A value of the detector as people know it."""
    if family == "performance":
        return measures.as_metric(found.detector.subject, value)
    if family == "agreement":
        return -value
    sign = _sign(found.detector)
    if sign > 0:
        return value
    return 1 - value if found.detector.reason in {"label_share", "prediction_share"} else -value


def _sign(detector: Detector) -> int:
    """In which direction it asks."""
    if isinstance(detector.measure, Gap):
        return detector.measure.sign or 1
    given = getattr(detector.measure, "args", ())
    return next((each for each in given if each in (1, -1) and isinstance(each, int)), 1)


METHODS = {"roc_auc": "2 AUC - 1", "kappa": "Cohen's kappa", "correlation": "Pearson's correlation"}
SUBJECTS = {
    "label_share": "the share of the label {}",
    "label_mean": "the mean {}",
    "score_mean": "the mean {}",
    "prediction_share": "the share of the answer {}",
    "prediction_mean": "the mean {}",
    "slice": "the error where {}, beside all other rows,",
    "fairness": "the difference of {} to all other rows",
}


def _why(family: str, detector: Detector, shown: list[float], since: datetime, level: str) -> str:
    value, boundary, expected = (f"{each:.4g}" for each in shown)
    sure = "" if level != "suspicious" else " That may still be chance."
    if family == "performance":
        word = "at least" if kind_of(detector.subject).larger_is_better else "at most"
        return (
            f"Since {since:%Y-%m-%d} {detector.subject} is {value}; {word} {boundary} was expected, after "
            f"{expected} at the promotion and in the first windows.{sure}"
        )
    if family == "agreement":
        told = (
            f"Since {since:%Y-%m-%d} answers and labels agree by {value} "
            f"({METHODS[detector.subject]}, 0 is chance), where "
            f"{expected} is usual."
        )
        wrong = " The labels are inverted, mixed up, or of other rows: look at what sends them."
        return told + (wrong if level == "incident" else sure)
    subject = SUBJECTS[detector.reason].format(detector.subject)
    told = f"Since {since:%Y-%m-%d} {subject} is {value}, where {expected} is usual and {boundary} the limit."
    return told + sure
