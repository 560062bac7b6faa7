"""A model in detail, from its entries: its versions and their lineage, what changed over time; pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import ValidationError

from tasks.contracts import Action, LedgerEntry, MeasuredWindow, MeasuredWindows
from tasks.overview.cards import checked_of, judged_of, score_of_run, served_of
from tasks.overview.charts import Point, Spark, Trend, spark, trend
from tasks.overview.facts import Card, Version
from tasks.overview.shapes import part, parts
from tasks.overview.words import VERDICTS
from tasks.provenance.picture import Box, Picture, draw
from tasks.release.told_in_mlflow import release_tags
from tasks.spec import kind_of

JUDGED = {"promote": "good", "hold": "warn", "reject": "bad"}


def versions_of(own: Sequence[LedgerEntry]) -> list[Version]:
    """Every version that the ledger names a route of, newest first.

    Args:
        own: The model's entries, oldest first.
    """
    gates = [entry for entry in own if entry.action == Action.GATE]
    routes: dict[str, tuple[dict[str, str], datetime]] = {}
    for entry in own:
        for key in ("route", "candidate"):
            route = entry.evidence.get(key)
            if isinstance(route, dict) and route.get("model_version") and route.get("run_id"):
                routes.setdefault(str(route["model_version"]), (route, entry.at))
    said, serving = release_tags(own), served_of(own)
    found = [
        _version(number, *routes[number], gates, said.get(number, ""), serving.version if serving else None)
        for number in routes
    ]
    return sorted(
        found,
        key=lambda each: (not each.number.isdecimal(), int(each.number) if each.number.isdecimal() else 0),
    )[::-1]


def _version(
    number: str,
    route: dict[str, str],
    first_at: datetime,
    gates: Sequence[LedgerEntry],
    says: str,
    serves: str | None,
) -> Version:
    run_id = str(route["run_id"])
    gate = next(
        (each for each in reversed(gates) if part(each.evidence, "decision").get("run_id") == run_id),
        None,
    )
    evaluation = part(gate.evidence, "evaluation") if gate else {}
    return Version(
        number=number,
        run_id=run_id,
        archive_sha256=str(route.get("archive_sha256", "")),
        serves=number == serves,
        first_at=first_at,
        says=says,
        score=score_of_run(run_id, gates),
        gate_entry=gate.sequence if gate else None,
        tables=tuple(f"{each.get('table')} v{each.get('version')}" for each in parts(evaluation, "tables")),
        snapshot_sha256=str(evaluation.get("frozen_sha256") or ""),
        started_by=str((gate.evidence.get("started_by") if gate else "") or ""),
    )


def lineage_of(model: str, version: Version) -> Picture:
    """What a version came from, from left to right."""
    tables = [Box("data", version.tables[:6])] if version.tables else []
    rows = [Box("test rows", (version.snapshot_sha256[:16],))] if version.snapshot_sha256 else []
    run = [Box("training run", tuple(part for part in (version.run_id[:16], version.started_by) if part))]
    gate = [Box("gate", (f"entry {version.gate_entry}",))] if version.gate_entry else []
    archive = [Box("archive", (version.archive_sha256[:16],))]
    return draw([tables, rows, run, gate, archive, [Box("version", (f"{model} {version.number}",))]])


def releases_of(own: Iterable[LedgerEntry]) -> list[tuple[datetime, str]]:
    """When which version began to serve."""
    switches = (each for each in own if each.action in {Action.DEPLOY, Action.ROLLBACK} and each.after)
    return [
        (each.at, f"v{each.after}{' back' if each.action == Action.ROLLBACK else ''}") for each in switches
    ]


def scores_over_time(own: Sequence[LedgerEntry]) -> Trend | None:
    """What each candidate scored at the gate, with its interval and its champion's value as what it met."""
    judged = [judged_of(entry) for entry in own if entry.action == Action.GATE]
    points = [
        Point(
            at=each.at,
            value=each.score.value,
            low=each.score.low,
            high=each.score.high,
            limit=each.champion.value if each.champion else None,
            kind=JUDGED.get(each.verdict, "calm"),
            label=each.verdict,
            entry=each.entry,
        )
        for each in judged
        if each.score is not None
    ]
    metric = next((each.score.metric for each in reversed(judged) if each.score), "")
    return trend(
        f"{metric} of the candidates", points, releases=releases_of(own), unit=metric, limit_name="champion"
    )


def drift_over_time(own: Sequence[LedgerEntry]) -> Trend | None:
    """The evidence of each drift check, with the threshold that it was held against."""
    checks = [checked_of(entry) for entry in own if entry.action == Action.DRIFT]
    points = [
        Point(
            at=each.at,
            value=each.value,
            limit=each.threshold,
            kind=VERDICTS.get(each.verdict, "calm"),
            label=each.verdict.replace("_", " "),
            entry=each.entry,
        )
        for each in checks
        if each.value is not None
    ]
    return trend("Evidence of the drift checks", points, releases=releases_of(own), unit="ROC AUC")


def accuracy_over_time(own: Sequence[LedgerEntry]) -> Trend | None:
    """How good what served was by the labels that came, window after window, and what was expected of it.

    Labels come late: of each window, what the newest check saw counts.
    """
    found: dict[datetime, tuple[str, MeasuredWindow, int]] = {}
    for entry in own:
        seen = _measured(entry) if entry.action == Action.DRIFT else None
        for window in seen.windows if seen else ():
            found[window.start] = (seen.metric, window, entry.sequence)  # type: ignore[union-attr]
    if not found:
        return None
    metric = found[max(found)][0]
    points = [
        Point(
            at=start,
            value=window.value,
            low=window.low,
            high=window.high,
            limit=window.threshold,
            kind=_kept_up(metric, window),
            label=f"{window.labelled:,} labels",
            entry=entry,
        )
        for start, (name, window, entry) in sorted(found.items())
        if name == metric
    ]
    return trend(f"{metric} by labels that came", points, releases=releases_of(own), unit=metric)


def _measured(entry: LedgerEntry) -> MeasuredWindows | None:
    """None of a check that had no labels, or of before they were kept."""
    kept = entry.evidence.get("measured")
    try:
        return MeasuredWindows.model_validate(kept) if kept else None
    except ValidationError:
        return None


def _kept_up(metric: str, window: MeasuredWindow) -> str:
    """Bad where the whole interval is beyond the threshold, and to be looked at where the value is."""
    if window.threshold is None:
        return "calm"
    side = 1 if kind_of(metric).larger_is_better else -1
    best = window.high if side > 0 else window.low
    if side * (window.value - window.threshold) >= 0:
        return "good"
    return "warn" if side * (best - window.threshold) >= 0 else "bad"


def spark_of(card: Card) -> Spark | None:
    """The scores of the newest candidates."""
    scores = [each.score for each in card.judged if each.score is not None]
    told = f"{scores[0].metric} of the last {len(scores)} candidates" if scores else ""
    return spark([score.value for score in scores], told)
