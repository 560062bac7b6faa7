"""What an explanation says, in sentences."""

from collections.abc import Iterator
from datetime import datetime

from tasks.contracts import (
    Action,
    Answer,
    EvaluationReport,
    Explanation,
    GateDecision,
    LedgerEntry,
    Lineage,
    Usage,
    Use,
)
from tasks.contracts.door import in_words
from tasks.provenance.entries_about import run_of

SHOWN = 120
STATES = {
    "quarantined": "it was quarantined",
    "released": "it was released from quarantine",
    "confirmed": "it was confirmed as bad, so that it is never trained on",
    "passed": "its labels passed",
    "cannot_tell": "its labels could not be judged",
}
"""What was decided of a batch's labels, by the entry's `after`."""
SWITCHES = (Action.DEPLOY, Action.ROLLBACK)
LEAVES = ("left", "rolled_back", "withdrawn")
"""What is decided of an environment that a version leaves, by the entry's `after`."""


def tell(explanation: Explanation) -> tuple[str, ...]:
    """The answer in a few sentences, the most important first; what data and people say has no control
    characters in them, for they are printed in terminals.
    """
    return tuple(_plain(sentence) for sentence in _sentences(explanation))


def _sentences(found: Explanation) -> Iterator[str]:
    if found.subject.kind in {"entry", "airflow_run"}:
        yield from _decided(found)
    if found.usage is not None:
        yield from _of_usage(found.usage)
        judged = {(each.model, each.before): each for each in found.decisions if each.action == Action.BATCH}
        for entry in judged.values():
            by_a_person = entry.after in {"released", "confirmed"}
            why = f'"{entry.why}"' if by_a_person else _sentence(entry.why)
            state = STATES.get(entry.after or "", entry.after)
            by = f"entry {entry.sequence}, {entry.actor}"
            yield f"{_time(entry.at)}: for {entry.model} {state} ({by}). {why}"
    if found.lineage is not None:
        yield from _of_lineage(found, found.lineage)
    elif found.subject.kind == "model":
        yield f"No version of {found.subject.model} serves now, or the gateway does not answer."
    if found.broken_entries:
        numbers = ", ".join(map(str, found.broken_entries))
        yield f"The ledger was altered at entry {numbers}: do not rely on what is said here of decisions."


def mismatches(lineage: Lineage, gate: GateDecision | None, report: EvaluationReport | None) -> list[str]:
    """Where MLflow, which people and training programs may write to, says other things than the gate."""
    told = []
    judged = report.frozen_sha256 if report else None
    if lineage.run is not None and judged not in {None, lineage.run.snapshot.test.sha256}:
        told.append(
            f"MLflow says that the test part of the run {lineage.run_id} has the hash "
            f"{lineage.run.snapshot.test.sha256}, but the gate judged it on {judged}: what the run is said "
            "to come from was changed since."
        )
    if lineage.archive and gate and lineage.archive.sha256 != gate.archive_sha256:
        told.append(
            f"MLflow says that the archive has the hash {lineage.archive.sha256}, but the gate judged "
            f"{gate.archive_sha256}: the version's tags were changed since."
        )
    return told


def _decided(found: Explanation) -> Iterator[str]:
    """The entry that was asked about; or what a run of Airflow decided, which made no training."""
    run = found.subject.airflow_run
    if run is not None:
        yield (
            f"No training of the run {run} of Airflow is recorded: it made none, or has not come so far. Its "
            "page there says how each task ended."
        )
    for entry in found.decisions:
        if found.subject.entry in {None, entry.sequence}:
            change = " to ".join(filter(None, [in_words(entry.before or ""), entry.after]))
            yield (
                f"{_time(entry.at)}: {entry.actor} decided on {entry.model} (entry {entry.sequence}, "
                f"{entry.action}{f': {change}' if change else ''}). {_sentence(entry.why)}"
            )


def _of_lineage(found: Explanation, lineage: Lineage) -> Iterator[str]:
    if lineage.answer is not None:
        yield _answered(lineage.answer)
    yield _trained(lineage)
    yield from _recalled_since(lineage)
    yield _judged(found)
    for entry in found.decisions:
        yield from _came_to_users(entry, lineage.run_id)
    yield _serves(found, lineage)


def _came_to_users(entry: LedgerEntry, run_id: str) -> Iterator[str]:
    """What an entry says of a version's way to its users, or back."""
    kinds = {Action.RELEASE: _released, Action.AB: _compared}
    if entry.action == Action.ENVIRONMENT:
        yield from _in_environment(entry, run_id)
    elif entry.action in kinds and run_of(entry) == run_id:
        yield kinds[entry.action](entry)
    elif entry.action in SWITCHES and _leads_to(entry, run_id):
        by = f"{entry.actor} let it serve (entry {entry.sequence})"
        yield f"{_time(entry.at)}: {by}. {_sentence(entry.why)}"


def _in_environment(entry: LedgerEntry, run_id: str) -> Iterator[str]:
    """That it came to serve in an environment before production, was refused there, or left it again."""
    where, by = entry.evidence.get("environment"), f"(entry {entry.sequence}, {entry.actor})"
    if _leads_to(entry, run_id) and entry.after in {"entered", "refused"}:
        yield f"{_time(entry.at)}: {_sentence(entry.why)} {by}"
    elif _leads_to(entry, run_id):
        yield f"{_time(entry.at)}: it serves in {where} again. {_sentence(entry.why)} {by}"
    elif entry.after in LEAVES and (entry.evidence.get("before") or {}).get("run_id") == run_id:
        yield f"{_time(entry.at)}: it serves in {where} no longer. {_sentence(entry.why)} {by}"


def _compared(entry: LedgerEntry) -> str:
    """A step of its comparison (A/B) with what served."""
    by = f"(entry {entry.sequence}, {entry.actor})"
    of = f"the comparison (A/B) with version {entry.before}"
    return f"{_time(entry.at)}: {of}, {entry.after}. {_sentence(entry.why)} {by}"


def _released(entry: LedgerEntry) -> str:
    """What was decided in its release by stages, with what each check said."""
    checks = (entry.evidence.get("decision") or {}).get("checks", ())
    said = ", ".join(f"{each['check']} {each['says']}" for each in checks)
    evidence = f" The checks said: {said}." if said else ""
    return f"{_time(entry.at)}: {_sentence(entry.why)}{evidence} (entry {entry.sequence}, {entry.actor})"


def _answered(answer: Answer) -> str:
    score = "" if answer.score is None else f", with the score {answer.score:.4g}"
    took = "" if answer.latency_seconds is None else f" in {answer.latency_seconds * 1000:.1f} ms"
    last = answer.labels[-1] if answer.labels else None
    truth = "" if last is None else f" Later it was labelled {last.label!r} ({_time(last.received_at)})."
    return (
        f"{_time(answer.predicted_at)}: {answer.model} answered {_short(answer.prediction)}{score}{took}, by "
        f"version {answer.model_version}.{truth}"
    )


def _trained(lineage: Lineage) -> str:
    number = lineage.version.version if lineage.version else None
    name = f"Version {number} of {lineage.model}" if number else f"The run of {lineage.model}"
    if lineage.run is None:
        return f"{name} is the MLflow run {lineage.run_id}; what it was trained from is not known."
    rows = lineage.run.snapshot
    tables = ", ".join(f"{each.table} v{each.version}" for each in rows.pinned)
    started = f" It was started by: {lineage.started_by}." if lineage.started_by else ""
    reason = f"{started} Why it was trained: {_sentence(lineage.reason)}" if lineage.reason else started
    return (
        f"{name} is the MLflow run {lineage.run_id}, trained on {rows.train.rows} rows of {tables} "
        f"({rows.validation.rows} more for validation, {rows.test.rows} kept for the test) at commit "
        f"{lineage.run.code_commit or 'unknown'}.{reason}"
    )


def _recalled_since(lineage: Lineage) -> Iterator[str]:
    batches = lineage.training_rows.batches if lineage.training_rows else ()
    for batch in batches:
        if batch.recalled:
            name = f"{batch.file} ({batch.batch_id})" if batch.file else batch.batch_id
            yield f"{batch.rows} of these rows came in the batch {name}, which was recalled since."


def _judged(found: Explanation) -> str:
    if found.gate is None:
        return "The gate has not judged it."
    return f"The gate said {found.gate.verdict}: {_sentence(found.gate.why)}"


def _serves(found: Explanation, lineage: Lineage) -> str:
    if found.serving is None:
        return f"Nothing serves for {lineage.model} now, or the gateway does not answer."
    if found.serving.run_id == lineage.run_id:
        return "It serves now."
    return f"Now version {found.serving.model_version} serves."


def _of_usage(usage: Usage) -> Iterator[str]:
    for batch in usage.batches:
        came = f" in the file {batch.file}" if batch.file else ""
        at = f", {_time(batch.ingested_at)}" if batch.ingested_at else ""
        recalled = " It was recalled: no snapshot sees it any more." if batch.recalled else ""
        what = f"{batch.rows} rows" if usage.key is None else f"The row {usage.key}"
        yield f"{what} joined {usage.table}{came} as the batch {batch.batch_id}{at}.{recalled}"
    if not usage.complete:
        yield "MLflow or the gateway does not answer, so that what is said here of its use is not all."
    elif not usage.uses:
        yield "No training that ended well has used it."
    for use in usage.uses:
        yield tell_use(use)


def tell_use(use: Use) -> str:
    """What one training used of a batch, and what became of it."""
    parts = ", ".join(f"{rows} in {name}" for name, rows in (use.parts or {}).items() if rows)
    rows = f"{use.rows} of its rows ({parts})" if parts else "it is not known which of its rows"
    version = f"version {use.version}" if use.version else f"no version ({use.verdict or 'never judged'})"
    serves = ", which serves" if use.serves else ""
    return (
        f"{use.model}, run {use.run_id}: {rows} come of it; it became {version}{serves}, and gave "
        f"{use.answers.rows} {'answer' if use.answers.rows == 1 else 'answers'}."
    )


def _leads_to(entry: LedgerEntry, run_id: str) -> bool:
    return (entry.evidence.get("route") or {}).get("run_id") == run_id


def _plain(sentence: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in sentence)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
