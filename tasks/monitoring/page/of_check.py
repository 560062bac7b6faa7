"""What the page says of a drift check."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from tasks.contracts import DriftDecision, Reference, WindowProfile
from tasks.monitoring.decide import Findings
from tasks.monitoring.inputs.columns import Columns
from tasks.monitoring.page.cards import LEVELS, Seen, cards_of
from tasks.monitoring.page.contents import Facts, Page, Series
from tasks.monitoring.page.evidence import Earlier, charts_of, quality_of
from tasks.monitoring.page.shares import DAYS_FOR_BAND
from tasks.monitoring.page.words import FOLLOWS, VERDICTS, number, percent
from tasks.monitoring.windows import judged_together, judged_window
from tasks.spec import MonitorSpec


@dataclass(frozen=True)
class Checked:
    """A drift check, as far as it got.

    Attributes:
        decision: As the ledger holds it, with its entry's hash.
        reference_id: Under which the reference is kept.
        windows: The profiles of the windows up to this one.
        columns: What was found out about them; None where they were not looked at.
        earlier: The checks before this one, of the same champion.
        auc_threshold: What the classifier's AUC had to exceed; None where it was not asked.
        quality: The model's metrics over time.
    """

    decision: DriftDecision
    findings: Findings
    rules: MonitorSpec
    reference: Reference
    reference_id: str
    windows: Sequence[WindowProfile]
    columns: Columns | None = None
    earlier: Sequence[Earlier] = ()
    auc_threshold: float | None = None
    quality: Sequence[Series] = ()


def page_of(checked: Checked) -> Page:
    """Everything that a reader wants to know of a check."""
    decision, reference, columns = checked.decision, checked.reference, checked.columns
    judged = judged_together(checked.windows, checked.rules)
    now = judged_window(checked.windows, checked.rules)
    days, band_name = days_like(reference, now)
    left_out = {trait.column: trait.why for trait in columns.left_out} if columns else {}
    seen = Seen(reference.scales, reference.whole, now, days, checked.windows)
    cards, not_drawn = cards_of(seen, decision.signals, left_out)
    this = Earlier(decision.window_start, decision.verdict, decision.domain_auc)
    checks = [*checked.earlier, this]
    joint = (reference.joint, checked.auc_threshold)
    return Page(
        what="Drift check",
        about=decision.model,
        span=_span(decision),
        verdict=decision.verdict,
        heading=VERDICTS[decision.verdict][0],
        follows=follows_of(decision),
        why=decision.why,
        facts=_facts(checked, checks),
        signals=sorted(decision.signals, key=lambda signal: LEVELS.index(signal.level)),
        charts=(*quality_of(checked.quality), *charts_of(columns, judged, checked.windows, checks, joint)),
        cards=cards,
        not_drawn=not_drawn,
        band_name=band_name,
        left_out=tuple(left_out.items()),
        calibration=calibration_of(reference, columns),
        notes=checked.findings.notes,
        rules=_rules(checked.rules),
        record=_record(checked),
        links=_links(decision),
    )


def days_like(reference: Reference, now: WindowProfile) -> tuple[Sequence[WindowProfile], str]:
    """The reference's days that a window is compared with, and what nine of ten of them are called: those of
    its weekday, where there are enough.
    """
    weekday = _middle(now).weekday()
    same = [day for day in reference.days if _middle(day).weekday() == weekday]
    if not reference.merged and len(same) >= DAYS_FOR_BAND and now.end - now.start <= timedelta(days=1):
        return same, f"what nine of ten {_middle(now):%A}s of the reference have"
    return reference.days, "what nine of ten days of the reference have"


def _middle(window: WindowProfile) -> datetime:
    return window.start + (window.end - window.start) / 2


def follows_of(decision: DriftDecision) -> str:
    """What follows from a decision, in a sentence."""
    said = VERDICTS[decision.verdict][1]
    return said if decision.follows is None else FOLLOWS.get(decision.follows, said)


def _span(decision: DriftDecision) -> str:
    start, end = decision.window_start, decision.window_end
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {start:%Z}".strip()


def _facts(checked: Checked, checks: Sequence[Earlier]) -> Facts:
    decision, found = checked.decision, checked.findings
    before = checks[-2] if len(checks) > 1 else None
    told = {
        "Predictions": number(decision.window_rows),
        "Rows of the reference": number(checked.reference.whole.rows),
        "Rows that break the suite": percent(found.bad_share),
        "New labelled rows": number(decision.new_rows),
        "State of the watch": decision.state or "",
        "The check before": f"{VERDICTS[before.verdict][0]}, {before.time:%Y-%m-%d}" if before else "",
    }
    return tuple((name, value) for name, value in told.items() if value)


def calibration_of(reference: Reference, columns: Columns | None) -> str:
    """How it is known how much days differ, in a sentence."""
    days = f"{len(reference.days)} {'groups of small days' if reference.merged else 'days'}"
    served = (
        f", {reference.serving_windows} of them windows that the champion served itself"
        if reference.serving_windows
        else ""
    )
    if columns is None:
        return "The columns were not judged, so nothing was compared with what is usual."
    if not columns.calibrated:
        return (
            f"Not calibrated yet: the reference has {days}{served}, and it takes {columns.needed}. Until "
            "then a wider guess of how much days differ stands in, and only large changes count."
        )
    by = f", by {reference.time_column}" if reference.time_column else ""
    return f"Calibrated on {days} of the reference{by}{served}: {columns.needed} are enough."


def _rules(rules: MonitorSpec) -> Facts:
    columns = {
        f"monitor.columns.{name}": f"watch: {str(own.watch).lower()}"
        + ("" if own.floor is None else f", floor: {own.floor:g}")
        for name, own in rules.columns.items()
    }
    told = {
        "monitor.mode": rules.mode,
        "monitor.false_alarms_per_year": number(rules.false_alarms_per_year),
        "monitor.number_floor": f"{rules.number_floor:g} standard deviations",
        "monitor.share_floor": percent(rules.share_floor),
        "monitor.domain_auc": number(rules.domain_auc),
        "monitor.minimum_window_rows": number(rules.minimum_window_rows),
        "monitor.maximum_bad_share": percent(rules.maximum_bad_share),
        "monitor.minimum_new_rows": number(rules.minimum_new_rows),
        "monitor.tolerance": f"{rules.tolerance:g}",
        **columns,
    }
    return tuple(told.items())


def _record(checked: Checked) -> Facts:
    decision = checked.decision
    told = {
        "Ledger entry": decision.ledger_hash or "",
        "Reference": checked.reference_id,
        "Champion, MLflow run": decision.champion_run_id,
        "Snapshot, SHA-256": checked.reference.snapshot_sha256,
        "Windows looked at": number(len(checked.windows)),
    }
    return tuple((name, value) for name, value in told.items() if value)


def _links(decision: DriftDecision) -> Facts:
    """Evidently's report, which lies beside the page."""
    if decision.report_url is None:
        return ()
    return (("Evidently's report of the same rows", PurePosixPath(decision.report_url).name),)
