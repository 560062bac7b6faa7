"""What is read and written for alerts: the ledger's newest entries, failed runs, what channels were told."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tasks.contracts import Action, FailedRun, LateRun, LedgerEntry, Objective, Silence, Told, Trouble
from tasks.ledger import entries
from tasks.ledger.incidents import open_incident, unanswered
from tasks.ledger.newest import ends_of, last_words
from tasks.ledger.precedent import SWITCHES
from tasks.monitoring.alerts.due import Item, silences
from tasks.monitoring.alerts.late import late_runs
from tasks.monitoring.alerts.troubles import ANSWERS, LOUD, QUARANTINED, QUIET, Known, troubles
from tasks.monitoring.slo.figures import figures_of
from tasks.stores.database import alerts_told as told
from tasks.stores.database import engine
from tasks.stores.database import failed_runs as failed
from tasks.stores.database import late_runs as late

MOST = 60
"""So many of a model's newest checks and switches are looked at: each minute, so not at years."""

Histories = Callable[[str], Iterable[LedgerEntry]]

RELEASES = (Action.RELEASE, Action.ENVIRONMENT)
ALERTING = (Action.DRIFT, Action.GATE, Action.BATCH, *RELEASES, *SWITCHES)


def everyone() -> list[str]:
    """Every model, and every table, that there may be something to tell of."""
    names = set(entries.models(ALERTING))
    with engine().connect() as connection:
        names |= set(connection.execute(sa.select(failed.c.name)).scalars())
        names |= set(connection.execute(sa.select(late.c.name)).scalars())
        names |= set(connection.execute(sa.select(told.c.model)).scalars())
    return sorted(names)


def open_troubles(model: str, now: datetime | None = None) -> list[Trouble]:
    """What somebody should know of a model now."""
    return troubles(_known(model), now or datetime.now(UTC))


def listed(
    model: str,
    history_of: Histories,
    now: datetime,
    late: Iterable[LateRun] = (),
    failed: Iterable[FailedRun] = (),
    objectives: Sequence[Objective] = (),
) -> tuple[list[Trouble], list[Silence]]:
    """What somebody should know of a model, and its silences, by a ledger that is read elsewhere.

    Args:
        history_of: Gives the entries about a model or a table, oldest first.
        late: The trainings that are late, of this and of other models.
        failed: The DAGs whose newest run failed, of this and of other models.
        objectives: How the model's own stood when somebody looked last.
    """
    newest = list(history_of(model))[::-1]

    def of(*actions: Action) -> list[LedgerEntry]:
        return [entry for entry in newest if entry.action in actions]

    batches, closed = of(Action.BATCH), of(Action.BREAKER)
    answers = [entry for entry in of(Action.RETRAIN) if entry.after in ANSWERS]
    known = Known(
        model=model,
        checks=of(Action.DRIFT),
        answers=answers,
        breaker_closed=closed[0] if closed else None,
        label_incident=unanswered(of(Action.LABEL_INCIDENT), of(Action.GATE)),
        batches=batches,
        recalled=_recalled(batches, history_of),
        switches=of(*SWITCHES),
        releases=of(*RELEASES),
        late=[run for run in late if run.name == model],
        failed=[run for run in failed if run.name == model],
        objectives=objectives,
    )
    return troubles(known, now), silences(of(Action.SILENCE), now)


def silences_of(model: str, now: datetime | None = None) -> list[Silence]:
    """The silences of a model that hold now."""
    return silences(last_words(model, Action.SILENCE), now or datetime.now(UTC))


def told_of(channel: str, model: str) -> list[Told]:
    """What a channel was told of a model last."""
    query = told.select().where(told.c.channel == channel, told.c.model == model)
    with engine().connect() as connection:
        return [_told(row) for row in connection.execute(query)]


def mark(channel: str, model: str, items: Iterable[Item], forgotten: Iterable[str], at: datetime) -> None:
    """Write down that a channel was told these items; nothing is kept of what is over."""
    items = list(items)
    gone = [*forgotten, *(item.known.subject for item in items)]
    rows = [_row(channel, item.trouble, at) for item in items if item.trouble is not None]
    here = (told.c.channel == channel, told.c.model == model)
    with engine().begin() as connection:
        connection.execute(told.delete().where(*here, told.c.subject.in_(gone)))
        if rows:
            connection.execute(told.insert(), rows)


def note_failed(run: FailedRun, ran_at: datetime) -> None:
    """Keep that the newest run of a DAG failed; one of before it changes nothing."""
    with engine().begin() as connection:
        known = connection.execute(failed.select().where(failed.c.dag_id == run.dag_id)).first()
        if known is not None and known.ran_at > ran_at:
            return
        row = {
            **run.model_dump(exclude={"contract_version"}),
            "tasks": json.dumps(run.tasks),
            "ran_at": ran_at,
        }
        if known is None:
            connection.execute(failed.insert().values(row))
        else:
            again = {**row, "since": known.since}
            connection.execute(failed.update().where(failed.c.dag_id == run.dag_id).values(again))


def note_succeeded(dag_id: str, ran_at: datetime) -> None:
    """Forget that a run of a DAG failed, where this one is no older."""
    with engine().begin() as connection:
        connection.execute(failed.delete().where(failed.c.dag_id == dag_id, failed.c.ran_at <= ran_at))


def note_tasks(run: FailedRun, tasks: Iterable[str]) -> None:
    """Keep which tasks of a run failed, while it is the newest of its DAG."""
    named = {"tasks": json.dumps(sorted(tasks))}
    this = (failed.c.dag_id == run.dag_id, failed.c.run_id == run.run_id)
    with engine().begin() as connection:
        connection.execute(failed.update().where(*this).values(named))


def failed_runs(name: str | None = None) -> list[FailedRun]:
    """The DAGs whose newest run failed; of a model, or of a table, where it is named."""
    query = failed.select().order_by(failed.c.dag_id)
    if name:
        query = query.where(failed.c.name == name)
    with engine().connect() as connection:
        rows = [row._asdict() for row in connection.execute(query)]
    plain = [{**row, "tasks": tuple(json.loads(row["tasks"]))} for row in rows]
    return [FailedRun.model_validate(row) for row in plain]


def _known(model: str) -> Known:
    with engine().connect() as connection:
        incident = open_incident(connection, model)
    batches = last_words(model, Action.BATCH, [QUARANTINED])
    closed = entries.newest_of(model, [Action.BREAKER], 1)
    checks = _checks(model)
    return Known(
        model=model,
        checks=checks,
        answers=_answers(model, checks),
        breaker_closed=closed[0] if closed else None,
        label_incident=incident,
        batches=batches,
        recalled=_recalled(batches, lambda table: entries.history(table, {Action.RECALL})),
        switches=entries.newest_of(model, SWITCHES, MOST),
        releases=entries.newest_of(model, RELEASES, MOST),
        failed=failed_runs(model),
        late=late_runs(model),
        objectives=figures.objectives if (figures := figures_of(model)) else (),
    )


def _checks(model: str) -> list[LedgerEntry]:
    """The checks that said something since the last quiet one, the newest of them and the first; only the
    newest check where that is quiet, as on nearly every look of each minute.
    """
    newest = entries.newest_of(model, [Action.DRIFT], 1)
    if not newest or newest[0].after == QUIET:
        return newest
    quiet = ends_of(model, Action.DRIFT, [QUIET], most=1)
    return ends_of(model, Action.DRIFT, LOUD, most=MOST, later_than=quiet[0].sequence if quiet else 0)


def _answers(model: str, checks: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """What requests for a training were answered since the newest check that said something."""
    if not checks or checks[0].after == QUIET:
        return []
    return ends_of(model, Action.RETRAIN, ANSWERS, most=MOST, later_than=checks[0].sequence)


def _recalled(batches: Iterable[LedgerEntry], history_of: Histories) -> frozenset[str]:
    tables = {table["table"] for each in batches for table in each.evidence.get("tables", ())}
    told = [entry for table in tables for entry in history_of(table)]
    return frozenset(str(entry.before) for entry in told if entry.action == Action.RECALL)


def _row(channel: str, trouble: Trouble, at: datetime) -> dict[str, Any]:
    names = {"model", "subject", "reason", "since", "why", "is_momentary"}
    kept = trouble.model_dump(include=names)
    return {**kept, "channel": channel, "kinds": json.dumps(trouble.kinds), "told_at": at}


def _told(row: sa.Row[Any]) -> Told:
    kept = _without(row._asdict(), "channel")
    return Told.model_validate({**kept, "kinds": tuple(json.loads(row.kinds))})


def _without(row: dict[str, Any], column: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != column}
