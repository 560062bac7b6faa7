"""Which entries of the ledger led to a run, and what became of it."""

from collections.abc import Iterable, Sequence
from typing import Any

from tasks.contracts import Action, LedgerEntry

ROUTES = ("route", "before")


def entries_about(
    history: Sequence[LedgerEntry], run_id: str, train_run_id: str | None = None
) -> list[LedgerEntry]:
    """The entries that led to a run and that decided about it since, in their order.

    Args:
        history: Of the run's model.
        run_id: The MLflow run.
        train_run_id: The Airflow run that trained it; None where that is not known.
    """
    own = {entry.entry_hash for entry in history if _is_about(entry, run_id, train_run_id)}
    own |= {
        entry.evidence["drift_decision"]
        for entry in history
        if entry.entry_hash in own and entry.evidence.get("drift_decision")
    }
    return with_completions(history, own)


def dag_runs_named(entry: LedgerEntry) -> set[str]:
    """The runs of Airflow that an entry names, as `<dag>/<run>`: whose step decided, and which training was
    granted or closed.
    """
    _, told, step = entry.actor.partition("airflow:")
    named = {"/".join(step.split("/")[:2])} if told and step.count("/") > 1 else set()
    if entry.action == Action.RETRAIN:
        trainings = {entry.before, entry.evidence.get("train_run_id")} - {None}
        named |= {f"train_{entry.model}/{run}" for run in trainings}
    return named


def run_of(entry: LedgerEntry) -> str | None:
    """The MLflow run that an entry judged, or sent requests to; None where it did neither."""
    about = entry.evidence.get("decision") or {} if entry.action == Action.GATE else {}
    of_comparison = entry.evidence.get("comparison") or {} if entry.action == Action.AB else entry.evidence
    beside = entry.action in {Action.RELEASE, Action.AB}
    sent_to = of_comparison.get("candidate" if beside else "route") or {}
    found = about.get("run_id") or sent_to.get("run_id")
    return str(found) if found else None


def with_completions(history: Sequence[LedgerEntry], hashes: set[str]) -> list[LedgerEntry]:
    """The entries with these hashes, and those that say that what they decided has taken effect."""
    return [
        entry for entry in history if entry.entry_hash in hashes or entry.evidence.get("completes") in hashes
    ]


def judgement(history: Iterable[LedgerEntry], run_id: str, decision_hash: str | None) -> LedgerEntry | None:
    """The gate's entry on a run: the one that a version names, else the newest; None where there is none."""
    judged = [entry for entry in history if entry.action == Action.GATE and _judges(entry, run_id)]
    named = [entry for entry in judged if entry.entry_hash == decision_hash]
    return next(reversed(named or judged), None)


def mentions(evidence: Any, text: str) -> bool:
    """Whether a text is one of the values of some evidence, however deep."""
    if isinstance(evidence, dict):
        return any(mentions(value, text) for value in evidence.values())
    if isinstance(evidence, list):
        return any(mentions(value, text) for value in evidence)
    return bool(evidence == text)


def _is_about(entry: LedgerEntry, run_id: str, train_run_id: str | None) -> bool:
    if entry.action == Action.GATE:
        return _judges(entry, run_id)
    if entry.action == Action.BATCH:
        return train_run_id is not None and f"/{train_run_id}/" in entry.actor
    if entry.action == Action.RETRAIN:
        return train_run_id is not None and train_run_id in {
            entry.before,
            entry.evidence.get("train_run_id"),
        }
    if (
        entry.action == Action.DRIFT
    ):  # each day's check names the champion; the one that asked is found by its hash
        return False
    if entry.action == Action.RELEASE:  # what serves is named in each release of another version
        return run_of(entry) == run_id
    return mentions(entry.evidence, run_id)


def _judges(entry: LedgerEntry, run_id: str) -> bool:
    decision = entry.evidence.get("decision") or {}
    return bool(decision.get("run_id") == run_id)
