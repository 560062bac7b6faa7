"""Alerts are silent in a week in which all is well, and each kind of trouble is told, reminded of, and over.

The clock is the test's: what is written bears its time, and it looks each minute as the DAG of each minute
does, where that can tell more than a look now and then. Records, rules, notifier and the watcher of the loop
are the real ones; the channel is a web server on this machine.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa

from plugins.alerts import channels, send_what_is_due
from plugins.loop_watch import LoopWatch
from tasks.contracts import Action, AnyReason, FailedRun, LateRun, LedgerEntry, ModelFigures, Objective
from tasks.ledger import entries
from tasks.monitoring.alerts import records
from tasks.monitoring.alerts.late import note_ended, note_late
from tasks.monitoring.loop.beats import beat
from tasks.monitoring.slo import figures
from tasks.monitoring.slo.decide import troubled_since
from tasks.settings import settings
from tasks.stores import database
from tests.dags.inboxes import WebServer, serving

MODEL, TABLE = "review_sentiment", "reviews"
TRAIN, COLLECT, INGEST = f"train_{MODEL}", f"collect_{MODEL}", f"ingest_{TABLE}"
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LOOK = 30 * MINUTE
"""Between two looks where a fault is planted: each look of a minute would tell no more."""


class Platform:
    """A platform's database, what its DAGs write into it, and its channel, at a time that the test sets."""

    def __init__(self, hook: WebServer) -> None:
        self.now = MONDAY
        self.is_beating = True
        self.incident = ""
        self.hook = hook
        self.channels = channels()
        self.watch = LoopWatch(self.now)

    @property
    def told(self) -> list[tuple[str, str]]:
        """Every alert that was sent, as kind and reason."""
        return [
            (alert["kind"], alert["reason"])
            for _, document in self.hook.posts
            for alert in document["alerts"]
        ]

    def look(self) -> None:
        """What the loop and its watcher do in a minute."""
        if self.is_beating:
            beat(self.now)
            send_what_is_due(self.channels, self.now)
        self.watch.look(self.now)

    def live(self, time: timedelta, every: timedelta = LOOK) -> None:
        """Let time pass, looking."""
        end = self.now + time
        while self.now < end:
            self.look()
            self.now += every

    def note(self, action: Action, after: str, before: str | None = None, **evidence: Any) -> LedgerEntry:
        """An entry as a step of Airflow's writes it."""
        return entries.record(
            model=MODEL,
            actor=f"airflow:{action}_{MODEL}/{self.now:%Y%m%dT%H%M}/{action}",
            action=action,
            before=before,
            after=after,
            why=f"It is {after}.",
            evidence={"at": self.now.isoformat(), **evidence},
        )

    def check(self, verdict: str) -> None:
        """A drift check."""
        alarm = {"level": "alarm", "reason": "location", "subject": "amount"}
        signals = [] if verdict in {"quiet", "too_few"} else [alarm]
        self.note(Action.DRIFT, verdict, "r1", decision={"signals": signals})

    def fail(self, dag_id: str) -> None:
        """A run that failed."""
        run = FailedRun(dag_id=dag_id, run_id="r", name=MODEL, tasks=("train",), since=self.now)
        records.note_failed(run, self.now)

    def late(self, run_id: str) -> None:
        """A training that goes on past its deadline."""
        note_late(LateRun(dag_id=TRAIN, run_id=run_id, name=MODEL, deadline=self.now))

    def objective(self, kept: str, burning: str = "no") -> None:
        """What the look of each fifth minute kept of an objective."""
        promise = {"name": "availability", "promise": "99.9 % of the requests are answered", "target": 0.999}
        stands = {"total": 100, "good": 99, "value": None, "budget_left": 0.5, "burns": (), "window_days": 30}
        of = Objective.model_validate(promise | stands | {"kept": kept, "burning": burning, "why": "It is."})
        unknown = dict.fromkeys(
            ("serving_since", "promoted_at", "state", "checked_at", "accuracy", "latency_seconds")
        )
        before = figures.figures_of(MODEL)
        since = troubled_since((of,), before.objectives if before else (), self.now)
        known = {"model": MODEL, "at": self.now, "model_version": "1", "labelled": 0, "objectives": since}
        figures.keep(ModelFigures.model_validate(known | unknown))

    def label_incident(self) -> None:
        """What the gate says where the champion falls on new labels."""
        rule = {"rule": "label_incident", "passed": False, "value": 0.2}
        self.incident = self.note(Action.GATE, "hold", decision={"rules": [rule]}).entry_hash

    def stop(self) -> None:
        """Kill the loop."""
        self.is_beating = False

    def start(self) -> None:
        """The loop is back."""
        self.is_beating = True


@pytest.fixture
def platform(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    hook = WebServer()
    connection = {"conn_type": "http", "host": f"http://127.0.0.1:{hook.server_port}/alerts"}
    monkeypatch.setenv("AIRFLOW_CONN_HOOK_OPS", json.dumps(connection))
    monkeypatch.setenv("PERENNIAL_ALERTS", "hook_ops")
    settings.cache_clear()
    made = Platform(hook)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return made.now.astimezone(tz)

    monkeypatch.setattr(entries, "datetime", Clock)
    # A connection for each use, synced to disk: most of the time of ten thousand looks, not their subject.
    engine = database.engine()
    engine.pool = sa.pool.QueuePool(engine.pool._creator)
    sa.event.listen(engine.pool, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))
    with serving(hook):
        yield made


def a_good_day(platform: Platform, day: int) -> dict[int, Callable[[], object]]:
    """What a platform on which all is well writes, by the minute of the day: what is decided, also against a
    candidate, or by a person, is no trouble.
    """
    version, before = str(day + 2), str(day + 1)
    release = {"release_id": f"r{day}", "version": version}
    of_gate = {"decision": {"rules": [{"rule": "superiority", "passed": day % 2 == 0, "value": 0.1}]}}
    day_of_model = {
        2 * 60: lambda: platform.note(Action.BATCH, "trusted", f"b{day}", tables=[{"table": TABLE}]),
        4 * 60: lambda: platform.check("too_few" if day == 5 else "quiet"),
        5 * 60: lambda: platform.note(Action.GATE, "promote" if day % 2 == 0 else "reject", **of_gate),
        5 * 60 + 30: lambda: records.note_succeeded(TRAIN, platform.now),
    }
    if day % 2:
        return day_of_model
    return day_of_model | {
        6 * 60: lambda: platform.note(Action.RELEASE, "accepted", before, **release),
        7 * 60: lambda: platform.note(Action.RELEASE, "proceed", before, **release),
        8 * 60: lambda: platform.note(Action.RELEASE, "promote", before, **release),
        8 * 60 + 1: lambda: platform.note(Action.DEPLOY, version, before),
        15 * 60: lambda: platform.note(Action.ROLLBACK, before, version, step_key="a person's"),
    }


@pytest.mark.timeout(1200)
def test_a_week_in_which_all_is_well_sends_nothing(platform: Platform) -> None:
    """Two days, which hold all that a good day writes, are looked at each minute, the others each tenth."""
    for day in range(7):
        written, every = a_good_day(platform, day), 1 if day < 2 else 10
        for minute in range(24 * 60):
            written.get(minute, lambda: None)()
            if minute % 15 == 0:
                platform.objective("kept", "slowly" if day == 3 else "no")
                records.note_succeeded(COLLECT, platform.now)
                records.note_succeeded(INGEST, platform.now)
            if minute % every == 0:
                platform.look()
            platform.now += MINUTE

    assert platform.now == MONDAY + 7 * DAY
    assert platform.told == []
    platform.check("incident")
    platform.look()
    assert platform.told == [("new", "incident")], "the week was one in which it would have been told"


Act = Callable[[Platform], object]
FAULTS: dict[str, tuple[Act, Act | None]] = {
    "incident": (lambda p: p.check("incident"), lambda p: p.check("quiet")),
    "drift": (lambda p: p.check("wait"), lambda p: p.check("quiet")),
    "ask": (lambda p: p.check("ask"), lambda p: p.check("quiet")),
    "stopped": (lambda p: p.check("stopped"), lambda p: p.note(Action.BREAKER, "closed")),
    "label_incident": (
        lambda p: p.label_incident(),
        lambda p: p.note(Action.LABEL_INCIDENT, "poison", p.incident),
    ),
    "quarantine": (
        lambda p: p.note(Action.BATCH, "quarantined", "b7", tables=[]),
        lambda p: p.note(Action.BATCH, "released", "b7", tables=[]),
    ),
    "rollback": (lambda p: p.note(Action.ROLLBACK, "1", "2", undoes=True), None),
    "release": (lambda p: p.note(Action.RELEASE, "roll_back", "1", release_id="r", version="2"), None),
    "failed_step": (lambda p: p.fail(TRAIN), lambda p: records.note_succeeded(TRAIN, p.now)),
    "late": (lambda p: p.late("slow"), lambda p: note_ended(TRAIN, "slow")),
    "objective": (lambda p: p.objective("missed"), lambda p: p.objective("kept")),
    "silent_loop": (Platform.stop, Platform.start),
}
"""How each kind is planted, and how it ends; what only happened does not end."""


def test_every_reason_for_alerts_has_its_planted_fault() -> None:
    reasons = {name for part in get_args(AnyReason) for name in get_args(part) or [part]}
    assert set(FAULTS) == reasons


@pytest.mark.parametrize("reason", FAULTS)
def test_a_planted_fault_is_told_once_reminded_of_after_a_day_and_over_once(
    platform: Platform, reason: str
) -> None:
    plant, end = FAULTS[reason]
    platform.check("quiet")
    platform.live(2 * HOUR)
    assert platform.told == []

    plant(platform)
    platform.live(23 * HOUR)
    assert platform.told == [("new", reason)], "once, and nothing else beside it"

    platform.live(2 * HOUR)
    reminded = [("new", reason)] if end is None else [("new", reason), ("reminder", reason)]
    assert platform.told == reminded, "what only happened is not called to mind"
    if end is not None:
        end(platform)
    platform.live(DAY)
    assert platform.told == [*reminded, *([("resolved", reason)] if end else [])]


def test_a_budget_that_is_spent_fast_is_told_and_that_it_is_gone_once_more(platform: Platform) -> None:
    platform.check("quiet")
    platform.objective("kept", "fast")
    began = platform.now
    platform.live(HOUR)
    platform.objective("missed", "fast")
    platform.live(HOUR)
    assert platform.told == [("new", "objective"), ("changed", "objective")]
    [trouble] = records.open_troubles(MODEL, platform.now)
    assert (trouble.subject, trouble.since, trouble.kinds) == ("availability", began, ("missed",))
    assert "perennial status review_sentiment" in trouble.next_step
