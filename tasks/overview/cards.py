"""A model at a glance, from its newest entries; a pure function of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.contracts import Action, LedgerEntry
from tasks.overview.facts import Card, Checked, Decided, Judged, Score, Served, Split, Watch
from tasks.overview.shapes import part, parts
from tasks.overview.words import STATES, VERDICTS, title_of, tone_of
from tasks.release.ab_under_way import start_under_way
from tasks.release.under_way import SWITCHES, under_way

MOST: Mapping[Action, int] = {
    Action.GATE: 12,
    Action.DRIFT: 4,
    Action.RELEASE: 8,
    Action.AB: 2,
    Action.DEPLOY: 2,
    Action.ROLLBACK: 2,
    Action.WITHDRAW: 1,
    Action.ENVIRONMENT: 1,
    Action.RETRAIN: 2,
    Action.EFFECT: 1,
    Action.BREAKER: 1,
    Action.BATCH: 4,
    Action.RECALL: 12,
    Action.LABEL_INCIDENT: 1,
    Action.REPRODUCE: 1,
    Action.SILENCE: 4,
}
"""So many of a model's newest entries of each kind make its card."""

DECISIONS = frozenset(MOST) - {Action.DRIFT, Action.SILENCE, Action.RECALL}
"""What counts as the last decision: what the drift check said has a place of its own."""


def by_name(entries: Iterable[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    """Entries by the model, or the table, that they are about, in their order."""
    told: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        told.setdefault(entry.model, []).append(entry)
    return told


def models_in(told: Mapping[str, Sequence[LedgerEntry]]) -> set[str]:
    """Those of the names that are a model's and not a table's."""
    return {name for name, own in told.items() if _is_a_models(own)}


def card_of(model: str, own: Sequence[LedgerEntry]) -> Card:
    """What is known of one model.

    Args:
        own: Its entries, oldest first, as `MOST` says.
    """
    gates = [entry for entry in own if entry.action == Action.GATE]
    served = served_of(own)
    judged = tuple(judged_of(entry) for entry in gates)
    return Card(
        model=model,
        served=served,
        score=score_of_run(served.run_id, gates) if served else None,
        watch=watch_of(own),
        split=split_of(own),
        last=last_of(own),
        judged=judged,
    )


def served_of(own: Sequence[LedgerEntry]) -> Served | None:
    """The version that serves by the newest change of what serves; None where none does."""
    switch = next((entry for entry in reversed(own) if entry.action in SWITCHES), None)
    if switch is None or switch.action == Action.WITHDRAW or switch.after is None:
        return None
    route = part(switch.evidence, "route")
    run_id = str(route.get("run_id", ""))
    gate = next((each for each in reversed(own) if _promotes(each, run_id)), None)
    return Served(
        version=switch.after,
        run_id=run_id,
        archive_sha256=str(route.get("archive_sha256", "")),
        since=switch.at,
        by=switch.actor,
        why=switch.why,
        entry=switch.sequence,
        promoted_why=gate.why if gate else None,
        gate_entry=gate.sequence if gate else None,
    )


def version_before(own: Sequence[LedgerEntry]) -> str | None:
    """The version that a rollback would go back to, as the gateway finds it; None where there is none.

    What was rolled back from does not count, nor what served before the model was withdrawn.

    Args:
        own: The model's entries, oldest first.
    """
    served: list[tuple[str, str]] = []
    for entry in (each for each in own if each.action in SWITCHES):
        if entry.action == Action.WITHDRAW or entry.after is None:
            served.clear()
            continue
        archive = str(part(entry.evidence, "route").get("archive_sha256") or entry.after)
        known = [each for each, _ in served]
        if entry.action == Action.ROLLBACK and archive in known:
            del served[len(known) - known[::-1].index(archive) :]
        if served and served[-1][0] == archive:
            served.pop()
        served.append((archive, entry.after))
    return served[-2][1] if len(served) > 1 else None


def score_of_run(run_id: str, gates: Sequence[LedgerEntry]) -> Score | None:
    """What a run scored: as the candidate that the gate judged, else as the champion of a later judgement."""
    for role in ("candidate", "champion"):
        for entry in reversed(gates):
            evaluation = part(entry.evidence, "evaluation")
            if run_id and part(evaluation, role).get("run_id") == run_id:
                return score_in(evaluation, role)
    return None


def score_in(evaluation: Mapping[str, Any], role: str) -> Score | None:
    """The primary metric of one of an evaluation's models; None where the rows do not define it."""
    name = evaluation.get("primary_metric")
    for metric in parts(part(evaluation, role), "metrics"):
        numbers = [_number(metric.get(key)) for key in ("value", "low", "high")]
        if metric.get("name") == name and None not in numbers:
            value, low, high = (float(each) for each in numbers if each is not None)
            return Score(str(name), value, low, high, evaluation.get("rows"))
    return None


def judged_of(entry: LedgerEntry) -> Judged:
    """One verdict of the gate."""
    evaluation, decision = part(entry.evidence, "evaluation"), part(entry.evidence, "decision")
    return Judged(
        at=entry.at,
        entry=entry.sequence,
        verdict=str(entry.after),
        run_id=str(decision.get("run_id", "")),
        score=score_in(evaluation, "candidate"),
        champion=score_in(evaluation, "champion"),
    )


def watch_of(own: Sequence[LedgerEntry]) -> Watch | None:
    """What the newest drift check said; None before the first."""
    entry = next((each for each in reversed(own) if each.action == Action.DRIFT), None)
    if entry is None:
        return None
    decision = part(entry.evidence, "decision")
    verdict = str(entry.after)
    state = str(decision.get("state") or entry.evidence.get("state") or verdict)
    words, tone = STATES.get(state, (state.replace("_", " ").capitalize(), VERDICTS.get(verdict, "calm")))
    return Watch(state, words, tone, verdict, entry.why, entry.at, entry.sequence, decision.get("page_url"))


def checked_of(entry: LedgerEntry) -> Checked:
    """One drift check as a point in time."""
    decision = part(entry.evidence, "decision")
    return Checked(
        at=entry.at,
        entry=entry.sequence,
        verdict=str(entry.after),
        state=str(decision.get("state") or ""),
        value=_number(decision.get("domain_auc")),
        threshold=_number(decision.get("threshold")),
        rows=int(_number(decision.get("window_rows")) or 0),
    )


def split_of(own: Sequence[LedgerEntry]) -> Split | None:
    """The release or comparison that divides the requests now; None where one version answers all."""
    release = under_way(each for each in own if each.action in {Action.RELEASE, *SWITCHES})
    if release is not None:
        return Split(release.version, release.share, release.stage, release.since, release.says)
    started = start_under_way(each for each in own if each.action in {Action.AB, *SWITCHES})
    if started is None:
        return None
    comparison = part(started.evidence, "comparison")
    share = _number(comparison.get("share")) or 0.0
    return Split(str(started.evidence.get("version")), share, "comparison", started.at, started.why)


def last_of(own: Sequence[LedgerEntry]) -> Decided | None:
    """The newest decision; None where there is none yet."""
    entry = next((each for each in reversed(own) if each.action in DECISIONS), None)
    return None if entry is None else decided(entry)


def decided(entry: LedgerEntry) -> Decided:
    """An entry in a few words."""
    return Decided(
        sequence=entry.sequence,
        at=entry.at,
        title=title_of(entry.action, entry.after, entry.evidence),
        tone=tone_of(entry.action, entry.after),
        why=entry.why,
        actor=entry.actor,
        action=str(entry.action),
    )


def _promotes(entry: LedgerEntry, run_id: str) -> bool:
    decision = part(entry.evidence, "decision")
    return (entry.action, entry.after) == (Action.GATE, "promote") and decision.get("run_id") == run_id


def _is_a_models(own: Sequence[LedgerEntry]) -> bool:
    """Whether entries are about a model; those of a table are about its files and batches alone."""
    return any(entry.action in {Action.GATE, Action.DRIFT, *SWITCHES} for entry in own)


def _number(value: object) -> float | None:
    """A number of an entry's evidence, in which those that are none are kept as texts."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
