"""Explain one thing: what it came from or what came of it, and every decision that led to it."""

from collections.abc import Callable
from datetime import UTC, datetime

from tasks.contracts import (
    Action,
    Answer,
    EvaluationReport,
    Explanation,
    GateDecision,
    LedgerEntry,
    Route,
    Subject,
)
from tasks.errors import NotFound, ServingError
from tasks.ledger import entries
from tasks.provenance import predictions
from tasks.provenance.entries_about import (
    dag_runs_named,
    entries_about,
    judgement,
    mentions,
    run_of,
    with_completions,
)
from tasks.provenance.subject import find, told
from tasks.provenance.tell import mismatches, tell
from tasks.provenance.trace import trace
from tasks.provenance.usage import usage_of_batch, usage_of_row
from tasks.serving.gateway import Gateway
from tasks.stores.lake import Lake

NEWEST = 10
"""How many of a model's newest decisions are told beside those about what serves."""


def why(text: str) -> Explanation:
    """Explain what a text names.

    Raises:
        NotFound: Nothing has this name, or several things have.
        LedgerBroken: The ledger cannot be read.
    """
    return explain(find(text))


def explain(subject: Subject) -> Explanation:
    """Explain a subject. What is missing is in the notes of its lineage or usage."""
    kinds: dict[str, Callable[[Subject], Explanation]] = {
        "prediction": _of_prediction,
        "model": _of_model,
        "batch": _of_rows,
        "row": _of_rows,
        "entry": _of_entry,
        "airflow_run": _of_airflow_run,
    }
    found = kinds.get(subject.kind, _of_run)(subject)
    checked = found.model_copy(update={"broken_entries": tuple(entries.broken_entries())})
    return checked.model_copy(update={"why": tell(checked)})


def answer_of(prediction_id: str) -> Answer:
    """One prediction as it was logged, from the gateway or the lake.

    Raises:
        NotFound: Neither has it.
    """
    try:
        row = Gateway(retries=1).prediction(prediction_id)
    except ServingError:
        row = None
    found = predictions.at_gateway(row) if row else predictions.in_lake(Lake(), prediction_id)
    if found is None:
        raise NotFound(f"No prediction has the id {prediction_id!r}, at the gateway or in the lake.")
    return found


def _of_prediction(subject: Subject) -> Explanation:
    answer = answer_of(subject.prediction_id or "")
    return _about_run(subject, answer.model, answer.run_id, answer=answer)


def _of_run(subject: Subject) -> Explanation:
    return _about_run(subject, subject.model or "", subject.run_id or "")


def _of_model(subject: Subject) -> Explanation:
    model = subject.model or ""
    route, newest = _serving(model), tuple(entries.history(model)[-NEWEST:])
    if route is None:
        return Explanation(subject=subject, asked_at=datetime.now(UTC), why=(), decisions=newest)
    found = _about_run(subject, model, route.run_id)
    both = {entry.sequence: entry for entry in (*found.decisions, *newest)}
    return found.model_copy(update={"decisions": tuple(both[number] for number in sorted(both))})


def _of_rows(subject: Subject) -> Explanation:
    table, batch_id, key = subject.table or "", subject.batch_id, subject.key
    usage = usage_of_batch(table, batch_id) if batch_id else usage_of_row(table, key or "")
    names = [batch.batch_id for batch in usage.batches]
    history = entries.history(table)
    about = {entry.entry_hash for entry in history if any(mentions(entry.evidence, name) for name in names)}
    history = sorted([*history, *entries.history(actions={Action.BATCH})], key=lambda entry: entry.sequence)
    about |= {entry.entry_hash for entry in history if entry.action == Action.BATCH and entry.before in names}
    return Explanation(
        subject=subject,
        asked_at=datetime.now(UTC),
        why=(),
        usage=usage,
        decisions=tuple(with_completions(history, about)),
    )


def _of_entry(subject: Subject) -> Explanation:
    """An entry, with what it completes or what completes it; and the run that it is about, where it is."""
    history = entries.history()
    entry = next(each for each in history if each.sequence == subject.entry)
    ends = entry.evidence.get("completes") or entry.entry_hash
    run_id = run_of(entry)
    found = (
        _about_run(subject, entry.model, run_id)
        if run_id
        else Explanation(subject=subject, asked_at=datetime.now(UTC), why=())
    )
    return found.model_copy(update={"decisions": tuple(with_completions(history, {ends, entry.entry_hash}))})


def _of_airflow_run(subject: Subject) -> Explanation:
    history = entries.history()
    named = {each.entry_hash for each in history if subject.airflow_run in dag_runs_named(each)}
    return Explanation(
        subject=subject,
        asked_at=datetime.now(UTC),
        why=(),
        decisions=tuple(with_completions(history, named)),
    )


def _about_run(subject: Subject, model: str, run_id: str, answer: Answer | None = None) -> Explanation:
    history = entries.history(model)
    lineage = trace(model, run_id, answer=answer, number=subject.version)
    named = lineage.version.decision_ledger_hash if lineage.version else None
    judged = judgement(history, run_id, named)
    gate = GateDecision.model_validate(judged.evidence["decision"]) if judged else None
    evaluation = _evaluation(judged)
    doubts = mismatches(lineage, gate, evaluation)
    train_run_id = lineage.dag_run.partition("/")[2] if lineage.dag_run else None
    return Explanation(
        subject=subject,
        asked_at=datetime.now(UTC),
        why=(),
        lineage=lineage.model_copy(update={"notes": (*lineage.notes, *doubts)}),
        evaluation=evaluation,
        gate=gate,
        decisions=tuple(entries_about(history, run_id, train_run_id)),
        serving=_serving(model),
    )


def _evaluation(judged: LedgerEntry | None) -> EvaluationReport | None:
    """None also where the entry of an earlier Perennial has no evaluation."""
    recorded = judged.evidence.get("evaluation") if judged else None
    return EvaluationReport.model_validate(recorded) if recorded else None


def _serving(model: str) -> Route | None:
    try:
        return Gateway(retries=1).route(model)
    except ServingError:
        return None


__all__ = ["answer_of", "explain", "told", "why"]
