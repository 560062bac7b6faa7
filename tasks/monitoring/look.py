"""Look at a window of predictions with every detector.

Its rows, its columns, all of them together, labels, the door, how serving prepares rows, and once a month on
which columns answers rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import nan

import pyarrow as pa

from tasks.contracts import (
    Action,
    Archive,
    DriftRequest,
    MeasuredWindows,
    Reference,
    Signal,
    TrainingRun,
    WindowProfile,
)
from tasks.data.door import held
from tasks.ledger import entries
from tasks.monitoring.attribution.look import look as look_at_attribution
from tasks.monitoring.comparison import Compared, Seen, compare
from tasks.monitoring.decide import Findings
from tasks.monitoring.door.look import look as look_at_door
from tasks.monitoring.inputs.reference import make_reference, without_lost
from tasks.monitoring.inputs.serving_weeks import grown, quiet_windows
from tasks.monitoring.memory import CHECKS_WITHIN
from tasks.monitoring.page.contents import Series
from tasks.monitoring.page.evidence import Earlier
from tasks.monitoring.page.quality import drawn
from tasks.monitoring.profiles.stored import keep_reference, newest_reference
from tasks.monitoring.skew.look import look as look_at_skew
from tasks.monitoring.target import reference as target_reference
from tasks.monitoring.target import signals as target_signals
from tasks.monitoring.target import summary as target
from tasks.monitoring.target.measured import measured
from tasks.monitoring.windows import judged_together, judged_with, profiles_until, rows_between
from tasks.spec import PipelineSpec
from tasks.stores.database import engine
from tasks.stores.lake import Lake

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Look:
    """Everything that was found out about a window.

    Attributes:
        findings: What is decided on, the signals of all detectors among them.
        compared: What the comparison gives beside them.
        windows: The profiles of the windows up to this one.
        earlier: What was said of the champion's windows before this one.
        quality: The model's metric over time, for the check's page.
        measured: The same by labels alone, for the ledger.
    """

    findings: Findings
    compared: Compared
    reference: Reference
    windows: Sequence[WindowProfile]
    earlier: Sequence[Earlier]
    quality: tuple[Series, ...]
    measured: MeasuredWindows | None


def look(request: DriftRequest, run: TrainingRun, archive: Archive | None) -> Look:
    """Look at the request's window.

    Args:
        run: That of the champion.
        archive: What serves; None where it is not at hand, and the preparation of rows is not replayed.
    """
    spec, lake, span = request.spec, Lake(), span_of(request)
    rows = rows_between(lake, spec, *span)
    reference = _of_features(lake, reference_of(lake, run, spec), spec)
    windows = profiles_until(lake, spec, reference, span, rows)
    checks = _earlier(spec, run, span)
    earlier = [checks[end] for end in sorted(checks)]
    before = judged_together(windows[:-1], spec.monitor)
    quiet = quiet_windows(before, {end: check.verdict for end, check in checks.items()})
    reference = _grown(lake, reference, quiet, checks, spec)
    work_url = request.context.work_url
    small = judged_with(windows, spec.monitor)
    judged = pa.concat_tables([rows_between(lake, spec, each.start, each.end) for each in small] or [rows])
    since = small[0].start if small else None
    seen = Seen(judged, windows, _aucs(before, checks), since, len(quiet))
    compared = compare(seen, reference, run, spec, work_url)
    told, quality, by_labels = _of_target(lake, run, spec, span)
    more = [*told, *look_at_door(held.counts(lake, spec.name), span)]
    if archive is not None and len(rows):
        more += look_at_skew(spec, run, archive, span, work_url)
        more += look_at_attribution(lake, spec, run, archive, span[1])
    found = replace(compared.findings, signals=(*(compared.findings.signals or ()), *more))
    return Look(found, compared, reference, windows, earlier, quality, by_labels)


def span_of(request: DriftRequest) -> Span:
    """The request's window in UTC."""
    return request.window_start.astimezone(UTC), request.window_end.astimezone(UTC)


def reference_of(lake: Lake, run: TrainingRun, spec: PipelineSpec) -> Reference:
    """The champion's reference; made, and kept, where it has none yet or one that is provisional."""
    known = newest_reference(lake, spec.name, run.run_id)
    if known is not None and not known.provisional:
        return known
    made = make_reference(lake, run, spec)
    keep_reference(lake, spec.name, made)
    return made


def _of_features(lake: Lake, reference: Reference, spec: PipelineSpec) -> Reference:
    """The reference without the features that the model has no more; kept, because it judges."""
    fitting = without_lost(reference, spec)
    if fitting is not reference:
        keep_reference(lake, spec.name, fitting)
    return fitting


def _aucs(before: Sequence[WindowProfile], checks: Mapping[datetime, Earlier]) -> list[float]:
    """The domain classifier's AUC of each, NaN where it was not asked: windows in a row, none of which
    overlaps another, however often checks are made.
    """
    found = [checks[each.end].domain_auc if each.end in checks else None for each in before]
    return [nan if auc is None else auc for auc in found]


def _grown(
    lake: Lake,
    reference: Reference,
    quiet: Sequence[WindowProfile],
    checks: Mapping[datetime, Earlier],
    spec: PipelineSpec,
) -> Reference:
    """The reference; a new version of it, which is kept beside the others, where quiet windows join it."""
    aucs = {end: check.domain_auc for end, check in checks.items() if check.domain_auc is not None}
    more = grown(reference, quiet, aucs)
    if more is None:
        return reference
    keep_reference(lake, spec.name, more)
    return more


def _of_target(
    lake: Lake, run: TrainingRun, spec: PipelineSpec, span: tuple[datetime, datetime]
) -> tuple[tuple[Signal, ...], tuple[Series, ...], MeasuredWindows | None]:
    """What predictions and labels say of the version's windows, and what a reader sees of it."""
    history = target.summaries(lake, spec, run.run_id, span, target_reference.groups_of(spec, run))
    known = target_reference.reference_of(lake, spec, run, span[1] - span[0])
    points = target_signals.series(history, known)
    shown, by_labels = drawn(points, spec.gate.primary_metric), measured(points, history, known, spec.monitor)
    return target_signals.signals(history, known, spec.monitor), shown, by_labels


def _earlier(spec: PipelineSpec, run: TrainingRun, span: Span) -> dict[datetime, Earlier]:
    """What was said of the champion's windows before this one, by their ends: each one's last check."""
    found = {}
    since = datetime.now(UTC) - CHECKS_WITHIN
    with engine().connect() as connection:
        checks = list(entries.newest_first(connection, spec.name, Action.DRIFT, since=since))
    for entry in reversed(checks):
        decision = entry.evidence.get("decision", {})
        if entry.before == run.run_id and decision:
            start, end = (datetime.fromisoformat(decision[f"window_{side}"]) for side in ("start", "end"))
            if end <= span[0]:
                auc = decision.get("domain_auc")
                found[end] = Earlier(start, decision["verdict"], None if auc is None else float(auc))
    return found
