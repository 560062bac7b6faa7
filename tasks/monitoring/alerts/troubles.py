"""What of a model a person should know: a pure function of what the ledger and Airflow say of it.

One rule a kind of trouble. A trouble is there until the entries say otherwise, however often somebody looks,
so that what has been told of it can be compared with what is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.contracts import AlertReason, FailedRun, LateRun, LedgerEntry, Objective, Trouble
from tasks.monitoring.alerts.overtaken import overtaken

LOUD: dict[str, AlertReason] = {
    "incident": "incident",
    "wait": "drift",
    "suggest": "drift",
    "retrain": "drift",
    "ask": "ask",
    "stopped": "stopped",
}
"""The verdicts of the drift check that somebody should know of."""
QUIET = "quiet"
"""The one that ends them; every other says neither."""

ANSWERS = ("granted", "refused")
"""What a request for a training is answered."""
QUARANTINED = "quarantined"
"""What is said of a batch that nobody has decided on."""

MOMENT = timedelta(days=7)
"""For so long something that happened can still be told, where no channel was there before."""

STOPPED = {"refused", "roll_back", "hold"}
"""What a release by stages ends with where the platform says no."""
LEFT = "closed"
"""What it ends with where somebody else ends it: a person, who knows, or the reconciliation."""

TOLD_OTHERWISE = {"report_quarantined"}
"""Tasks that fail to show what has an alert of its own."""
RECONCILE = "reconcile_ledger"
CHANNELS = {"send_alerts"}
"""The task of each minute that fails where a channel takes no alert; it is sent again a minute later."""
CHANNEL_PATIENCE = timedelta(minutes=15)
"""After so long the other channels are told that one takes none."""

NEXT: dict[str, str] = {
    "incident": "Look at where these rows come from. No training answers broken data; the next check says "
    "whether it is over.",
    "wait": "Nothing yet: the check of each day looks again.",
    "retrain": "Nothing: a training was asked for, and the gate judges what comes of it.",
    "granted": "Nothing: a training was asked for, and the gate judges what comes of it.",
    "refused": "Nothing, if you agree: the next check looks again. Or train: "
    'perennial train {model} --why "..."',
    "suggest": 'Train, if you agree: perennial train {model} --why "..."',
    "ask": "Answer the task that waits in Airflow's pages (drift_{model}, Required Actions).",
    "stopped": "Look at what the trainings before came to: perennial ledger {model} --last 20",
    "label_incident": "Look at the new labels, and say whether they are wrong or the world has changed: "
    'perennial answer {model} poison --why "...", or the_world in place of poison.',
    "quarantine": 'Decide on it: perennial decide {model} {subject} release --why "...", or confirm.',
    "rollback": "Look why it did not serve; the version before serves. perennial why {model}",
    "release": "The version before serves. Look at what was found: perennial why {model}/{version}. Then "
    'correct the model, or release it again: perennial release {model} {version} --why "..."',
    "failed_step": "Open the run: the log of the task ends with what to do. Clear the task when it is done.",
    RECONCILE: "Open the run: the log of the task ends with what to do. Each minute looks at all again, and "
    "the first run that succeeds ends this alert.",
    "late": "Open the run: see which task it waits for, or hangs in. Mark the run failed to give it up. "
    "Where trainings take so long, raise training.deadline_hours in pipeline.yaml.",
    "objective": "See since when, and whether one version is to blame: perennial status {model}. "
    "docs/monitoring.md says what to do.",
}


@dataclass(frozen=True)
class Known:
    """What is known of a model; entries are newest first.

    Attributes:
        checks: Of the drift check; those that are loud, the newest and the first since a quiet one at least.
        answers: What requests for a training were granted or refused since the newest loud check, at least.
        breaker_closed: The newest time that a person closed the breaker.
        label_incident: The one that nobody has answered.
        batches: What was decided on batches; of each that is quarantined the newest at least.
        recalled: Batches that were recalled since.
        switches: Changes of what serves.
        releases: What was decided in releases by stages, in production and in environments before it.
        failed: The DAGs of the loop whose newest run failed.
        late: The trainings that go on past their deadline.
        objectives: How each stood when somebody looked last.
    """

    model: str
    checks: Sequence[LedgerEntry] = ()
    answers: Sequence[LedgerEntry] = ()
    breaker_closed: LedgerEntry | None = None
    label_incident: LedgerEntry | None = None
    batches: Sequence[LedgerEntry] = ()
    recalled: frozenset[str] = frozenset()
    switches: Sequence[LedgerEntry] = ()
    releases: Sequence[LedgerEntry] = ()
    failed: Sequence[FailedRun] = ()
    late: Sequence[LateRun] = ()
    objectives: Sequence[Objective] = ()

    @property
    def version(self) -> str | None:
        """That serves, by the ledger."""
        return self.switches[0].after if self.switches else None


def troubles(known: Known, now: datetime) -> list[Trouble]:
    """Everything of a model that somebody should know of now, the gravest first."""
    return [trouble for rule in RULES for trouble in rule(known, now)]


def run_of(actor: str) -> str | None:
    """`DAG/run/task` of an entry that a step wrote; None where it was not Airflow's."""
    if not actor.startswith("airflow:"):
        return None
    return actor.removeprefix("airflow:").partition(", asked for by ")[0]


def _traffic(known: Known, _now: datetime) -> Iterator[Trouble]:
    """What the newest check that could tell says, for as long as the checks before said something, too."""
    loud: list[LedgerEntry] = []
    for check in known.checks:
        if check.after == QUIET:
            break
        if check.after in LOUD:
            loud.append(check)
    if not loud:
        return
    closed = known.breaker_closed
    if loud[0].after == "stopped" and closed is not None and closed.sequence > loud[0].sequence:
        return
    decision = loud[0].evidence.get("decision", {})
    grave = [each for each in decision.get("signals", ()) if each["level"] in {"alarm", "incident"}]
    began = [datetime.fromisoformat(each["since"]) for each in grave if each.get("since")]
    asked = (each for each in known.answers if each.evidence.get("drift_decision") == loud[0].entry_hash)
    answer = next(asked, None)
    trouble = _of_entry(
        known,
        answer or loud[0],
        reason="drift" if answer else LOUD[str(loud[0].after)],
        subject="traffic",
        since=min([loud[-1].at, *began]),
        next_step=NEXT[str((answer or loud[0]).after)],
        kinds=tuple(sorted({f"{each['reason']} of {each['subject']}" for each in grave})),
        page_url=decision.get("page_url") or decision.get("report_url"),
    )
    refused = answer is not None and answer.after == "refused"
    # A refusal says why nothing is trained, and not what was found.
    yield trouble.model_copy(update={"why": f"{loud[0].why} {trouble.why}"}) if refused else trouble


def _labels(known: Known, _now: datetime) -> Iterator[Trouble]:
    if known.label_incident is not None:
        yield _of_entry(known, known.label_incident, reason="label_incident", subject="labels")


def _quarantined(known: Known, _now: datetime) -> Iterator[Trouble]:
    newest = {each.before: each for each in reversed(known.batches)}
    for batch, entry in newest.items():
        if entry.after == QUARANTINED and batch and batch not in known.recalled:
            yield _of_entry(known, entry, reason="quarantine", subject=batch)


def _undone(known: Known, now: datetime) -> Iterator[Trouble]:
    """Switches that the platform took back by itself."""
    for entry in known.switches:
        if entry.evidence.get("undoes") and now - entry.at < MOMENT:
            yield _of_entry(
                known, entry, reason="rollback", subject=f"entry {entry.sequence}", is_momentary=True
            )


def _stopped(known: Known, now: datetime) -> Iterator[Trouble]:
    """Releases by stages that did not go through, and that no person ended."""
    for entry in known.releases:
        if _is_stopped(entry) and now - entry.at < MOMENT and not _is_overtaken(known, entry.at, _run(entry)):
            version = _released_version(entry)
            yield _of_entry(
                known,
                entry,
                reason="release",
                subject=f"entry {entry.sequence}",
                next_step=NEXT["release"].replace("{version}", version),
                is_momentary=True,
            )


def _is_overtaken(known: Known, since: datetime, run: str) -> bool:
    told = sorted([*known.releases, *known.switches], key=lambda each: each.sequence)
    return overtaken(told, since, run) is not None


def _released_version(entry: LedgerEntry) -> str:
    in_environment = entry.evidence.get("route") or {}
    return str(entry.evidence.get("version") or in_environment.get("model_version", "?"))


def _is_stopped(entry: LedgerEntry) -> bool:
    by_itself = entry.actor.startswith("airflow:reconcile_")
    return entry.after in STOPPED or (entry.after == LEFT and by_itself)


def _failed(known: Known, now: datetime) -> Iterator[Trouble]:
    told = {_run(each) for each in known.checks if each.after == "incident"}
    told |= {_run(each) for each in known.releases if _is_stopped(each)}
    for failed in known.failed:
        run = f"{failed.dag_id}/{failed.run_id}"
        if failed.dag_id == f"release_{known.model}" and _is_overtaken(
            known, failed.ran_at or failed.since, run
        ):
            continue
        if run in told or (failed.tasks and set(failed.tasks) <= TOLD_OTHERWISE):
            continue
        if set(failed.tasks) == CHANNELS and now - failed.since < CHANNEL_PATIENCE:
            continue
        tasks = ", ".join(failed.tasks) or "none of its tasks"
        yield Trouble(
            model=known.model,
            subject=failed.dag_id,
            reason="failed_step",
            since=failed.since,
            version=known.version,
            why=f"The newest run of {failed.dag_id} failed: {tasks} did.",
            next_step=NEXT.get(failed.dag_id, NEXT["failed_step"]),
            kinds=failed.tasks,
            step=f"{run}/{failed.tasks[0]}" if failed.tasks else run,
        )


def _late(known: Known, _now: datetime) -> Iterator[Trouble]:
    for late in known.late:
        yield Trouble(
            model=known.model,
            subject=late.run_id,
            reason="late",
            since=late.deadline,
            version=known.version,
            why=f"The run of {late.dag_id} should have ended by {late.deadline:%Y-%m-%d %H:%M} UTC.",
            next_step=NEXT["late"],
            step=f"{late.dag_id}/{late.run_id}",
        )


def _objectives(known: Known, now: datetime) -> Iterator[Trouble]:
    """One whose budget is spent fast, and told again when it is missed."""
    for each in known.objectives:
        if each.is_trouble:
            yield Trouble(
                model=known.model,
                subject=each.name,
                reason="objective",
                since=each.troubled_since or now,
                version=known.version,
                why=f"Promised: {each.promise}. {each.why}",
                next_step=NEXT["objective"].format(model=known.model),
                kinds=("missed",) if each.kept == "missed" else ("budget spent fast",),
            )


RULES: tuple[Callable[[Known, datetime], Iterator[Trouble]], ...] = (
    _traffic,
    _labels,
    _quarantined,
    _undone,
    _stopped,
    _failed,
    _late,
    _objectives,
)


def _of_entry(  # noqa: PLR0913 - each says one thing of the trouble, by its name
    known: Known,
    entry: LedgerEntry,
    *,
    reason: AlertReason,
    subject: str,
    since: datetime | None = None,
    next_step: str = "",
    kinds: tuple[str, ...] = (),
    page_url: str | None = None,
    is_momentary: bool = False,
) -> Trouble:
    return Trouble(
        model=known.model,
        subject=subject,
        reason=reason,
        since=since or entry.at,
        version=known.version,
        why=entry.why,
        next_step=(next_step or NEXT[reason]).format(model=known.model, subject=subject),
        kinds=kinds,
        step=run_of(entry.actor),
        page_url=page_url,
        entry=entry.sequence,
        is_momentary=is_momentary,
    )


def _run(entry: LedgerEntry) -> str:
    return "/".join((run_of(entry.actor) or "").split("/")[:2])
