"""What people are told by themselves: once, again when it changed, and not while it is silenced."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, FailedRun, LateRun, LedgerEntry, SilenceRequest, StepContext, Trouble
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring.alerts import records
from tasks.monitoring.alerts.due import due, forgotten
from tasks.monitoring.alerts.late import late_runs, note_ended, note_late
from tasks.monitoring.alerts.message import compose
from tasks.monitoring.silence import silence

MODEL, CHANNEL = "review_sentiment", "mail"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _somewhere(home: Path) -> None:
    """A ledger of its own."""


def note(
    action: Action, after: str, before: str | None = None, model: str = MODEL, **evidence: Any
) -> LedgerEntry:
    """An entry as a step of Airflow's writes it."""
    evidence = {"at": datetime.now(UTC).isoformat(), **evidence}
    return entries.record(
        model=model,
        actor=f"airflow:{action}_{model}/run1/{action}, asked for by ann",
        action=action,
        before=before,
        after=after,
        why=f"It is {after}.",
        evidence=evidence,
    )


def check(verdict: str, *signals: tuple[str, str, str], **more: Any) -> LedgerEntry:
    """A drift check that noticed (level, reason, subject)."""
    told = [{"level": level, "reason": reason, "subject": subject, "since": "2026-11-01T00:00:00Z"}
            for level, reason, subject in signals]  # fmt: skip
    return note(Action.DRIFT, verdict, "r1", decision={"signals": told, **more})


def tell(at: datetime | None = None, remind: timedelta = DAY) -> list[tuple[str, str]]:
    """Look, send and write down, as the DAG does; what was sent, as kind and subject."""
    at = at or datetime.now(UTC)
    sent = []
    for model in records.everyone():
        troubles, silences = records.open_troubles(model, at), records.silences_of(model, at)
        told = records.told_of(CHANNEL, model)
        items = due(troubles, told, silences, at, remind)
        records.mark(CHANNEL, model, items, forgotten(troubles, told, silences), at)
        sent += [(item.kind, item.known.subject) for item in items]
    return sent


def ask(days: float | None, of: str | None = None, key: str = "silence_alerts/r/silence") -> None:
    context = StepContext(actor="ann", step_key=f"{key}/{days}/{of}", work_url="unused")
    silence(SilenceRequest(context=context, model=MODEL, reason="I know.", of=of, days=days))


def test_drift_is_told_once_again_when_it_changed_and_when_it_is_over() -> None:
    check("quiet")
    assert tell() == []
    check("wait", ("alarm", "location", "amount"), ("note", "location", "hour"))
    assert tell() == [("new", "traffic")]
    check("wait", ("alarm", "location", "amount"))
    assert tell() == [], "the same, with another day's numbers"
    check("too_few")
    check("suspicious")
    assert tell() == [], "neither says that it is over"
    check("retrain", ("alarm", "location", "amount"), ("alarm", "nulls", "city"))
    assert tell() == [("changed", "traffic")], "one column more"
    check("stopped", ("alarm", "location", "amount"), ("alarm", "nulls", "city"))
    assert tell() == [("changed", "traffic")], "nothing answers it any more"
    check("quiet")
    assert tell() == [("resolved", "traffic")]
    assert tell() == []


def test_what_lasts_is_called_to_mind_after_a_day_and_only_then() -> None:
    check("incident", ("incident", "volume_low", "rows"))
    now = datetime.now(UTC)
    assert tell(now) == [("new", "traffic")]
    assert tell(now + DAY / 2) == []
    assert tell(now + DAY) == [("reminder", "traffic")]
    assert tell(now + DAY * 1.5) == []


@pytest.mark.parametrize("answer", ["granted", "refused"])
def test_a_question_that_was_answered_is_not_waited_for_and_what_was_answered_is_told(answer: str) -> None:
    asked = check("ask", ("alarm", "location", "amount"))
    assert tell() == [("new", "traffic")]
    note(Action.RETRAIN, "refused", drift_decision=None)
    [waits] = records.open_troubles(MODEL)
    assert waits.reason == "ask", "somebody else's request answers no question"
    answered = note(Action.RETRAIN, answer, drift_decision=asked.entry_hash)
    note(Action.RETRAIN, "ended", "retrain__1")

    now = datetime.now(UTC)
    [trouble] = records.open_troubles(MODEL, now)

    assert (trouble.reason, trouble.entry, trouble.kinds) == ("drift", answered.sequence, waits.kinds)
    assert trouble.why == {"granted": "It is granted.", "refused": "It is ask. It is refused."}[answer]
    assert "Required Actions" not in trouble.next_step
    assert "train" in trouble.next_step
    assert "{" not in trouble.next_step
    assert records.listed(MODEL, entries.history, now)[0] == [trouble]
    assert tell() == [("changed", "traffic")]
    assert tell() == []
    check("quiet")
    assert tell() == [("resolved", "traffic")]


def test_a_person_that_closes_the_breaker_ends_its_alert() -> None:
    check("stopped", ("alarm", "location", "amount"))
    assert tell() == [("new", "traffic")]
    note(Action.BREAKER, "closed")
    assert tell() == [("resolved", "traffic")]


def test_several_troubles_of_a_model_are_one_message_that_says_what_to_do() -> None:
    note(Action.DEPLOY, "3", "2")
    check("ask", ("alarm", "location", "amount"), page_url="/runs/page.html")
    note(Action.BATCH, "quarantined", "b7")
    now = datetime.now(UTC)
    items = due(records.open_troubles(MODEL), [], [], now, DAY)
    told = compose(MODEL, items, lambda trouble: [f"http://airflow/{trouble.step}"])
    assert told.title == f"[Perennial] {MODEL}: a decision is waited for, a batch is quarantined"
    first, second = told.text.split("\n\n")
    assert first.splitlines() == [
        "New: a decision is waited for (ask, traffic), since 2026-11-01 00:00 UTC. Version 3 serves.",
        "It is ask.",
        "What: location of amount.",
        f"What to do: Answer the task that waits in Airflow's pages (drift_{MODEL}, Required Actions).",
        "Entry 2 of the ledger.",
        f"http://airflow/drift_{MODEL}/run1/drift",
    ]
    assert f'perennial decide {MODEL} b7 release --why "..."' in second
    assert [each["kind"] for each in told.items] == ["new", "new"]
    assert compose(MODEL, items, lambda trouble: [f"http://airflow/{trouble.step}"]).key == told.key


def test_a_batch_is_over_when_somebody_decides_or_recalls_it() -> None:
    tables = [{"table": "reviews"}]
    note(Action.BATCH, "quarantined", "b7", tables=tables)
    note(Action.BATCH, "quarantined", "b8", tables=tables)
    assert sorted(tell()) == [("new", "b7"), ("new", "b8")]
    note(Action.BATCH, "released", "b7", tables=tables)
    note(Action.RECALL, "recalled", "b8", model="reviews")
    assert sorted(tell()) == [("resolved", "b7"), ("resolved", "b8")]


def test_a_label_incident_is_told_until_somebody_answers() -> None:
    rule = {"rule": "label_incident", "passed": False, "value": 0.2}
    found = note(Action.GATE, "hold", decision={"rules": [rule]})
    assert tell() == [("new", "labels")]
    note(Action.GATE, "hold", decision={"rules": [{**rule, "value": None}]})
    assert tell() == [], "another candidate is held, and it is the same incident"
    note(Action.LABEL_INCIDENT, "poison", found.entry_hash)
    assert tell() == [("resolved", "labels")]


def test_what_is_listed_elsewhere_is_what_is_told_here() -> None:
    note(Action.DEPLOY, "3", "2")
    check("wait", ("alarm", "location", "amount"))
    note(Action.BATCH, "quarantined", "b7", tables=[{"table": "reviews"}])
    note(Action.BATCH, "quarantined", "b8", tables=[{"table": "reviews"}])
    note(Action.RECALL, "recalled", "b8", model="reviews")
    ask(days=1, of="drift")
    now = datetime.now(UTC)
    told, silences = records.listed(MODEL, entries.history, now)
    assert [each.subject for each in told] == ["traffic", "b7"]
    assert told == records.open_troubles(MODEL, now)
    assert silences == records.silences_of(MODEL, now)


def test_a_rollback_by_itself_is_told_once_and_one_of_a_person_is_not() -> None:
    note(Action.ROLLBACK, "2", "3", step_key="x")
    assert tell() == []
    entry = note(Action.ROLLBACK, "1", "2", undoes=True)
    now = datetime.now(UTC)
    assert tell(now) == [("new", f"entry {entry.sequence}")]
    assert tell(now + DAY * 6) == []
    assert tell(now + DAY * 8) == [], "it is over without a word"
    assert records.told_of(CHANNEL, MODEL) == []


@pytest.mark.parametrize("end", ["refused", "roll_back", "hold"])
def test_a_release_that_did_not_go_through_is_told_once_and_its_failed_run_is_not(end: str) -> None:
    note(Action.RELEASE, "accepted", "1", release_id="r", version="2")
    assert tell() == []
    entry = note(Action.RELEASE, end, "1", release_id="r", version="2")
    failed("run1", "judge_canary_5", dag_id=f"{Action.RELEASE}_{MODEL}", ran_at=datetime.now(UTC))
    now = datetime.now(UTC)

    [trouble] = records.open_troubles(MODEL, now)

    assert f'perennial release {MODEL} 2 --why "..."' in trouble.next_step
    assert tell(now) == [("new", f"entry {entry.sequence}")]
    assert tell(now + DAY * 6) == []
    assert records.open_troubles(MODEL, now) != []
    assert records.listed(MODEL, entries.history, now)[0] == [trouble]


def test_a_version_that_an_environment_refuses_is_told_as_a_release_that_did_not_go_through() -> None:
    route = {"model_version": "2"}
    note(Action.ENVIRONMENT, "entered", "1", environment="dev", route=route)
    note(Action.ENVIRONMENT, "rolled_back", "2", environment="dev", route={"model_version": "1"})
    assert tell() == [], "a person went back"
    entry = note(Action.ENVIRONMENT, "refused", "1", environment="staging", route=route)
    now = datetime.now(UTC)

    [trouble] = records.open_troubles(MODEL, now)

    assert (trouble.reason, trouble.subject) == ("release", f"entry {entry.sequence}")
    assert f"perennial why {MODEL}/2" in trouble.next_step
    assert records.listed(MODEL, entries.history, now)[0] == [trouble]


def test_a_release_that_nobody_followed_is_told_and_one_that_a_person_ended_is_not() -> None:
    ended = {"model": MODEL, "action": Action.RELEASE, "before": "1", "after": "closed", "why": "So."}
    evidence = {"release_id": "r", "version": "2"}
    entries.record(**ended, actor="person:ann", evidence={**evidence, "step_key": "by hand"})
    assert tell() == []

    left = entries.record(**ended, actor="airflow:reconcile_ledger/r/reconcile", evidence=evidence)

    assert tell() == [("new", f"entry {left.sequence}")]


def failed(run_id: str, *tasks: str, dag_id: str = f"train_{MODEL}", ran_at: datetime) -> None:
    run = FailedRun(dag_id=dag_id, run_id=run_id, name=MODEL, tasks=tasks, since=datetime.now(UTC))
    records.note_failed(run, ran_at)


def test_a_failed_run_is_told_until_a_later_one_succeeds() -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    failed("r1", "validate", ran_at=start)
    assert tell() == [("new", f"train_{MODEL}")]
    failed("r2", "validate", ran_at=start + DAY)
    failed("r0", "evaluate", ran_at=start - DAY)
    records.note_succeeded(f"train_{MODEL}", start)
    assert tell() == [], "the same task of a later run, an older run, and an older success"
    failed("r3", "train", ran_at=start + DAY * 2)
    assert tell() == [("changed", f"train_{MODEL}")]
    records.note_succeeded(f"train_{MODEL}", start + DAY * 3)
    assert tell() == [("resolved", f"train_{MODEL}")]


def test_a_run_that_failed_to_show_what_has_an_alert_of_its_own_is_not_told_twice() -> None:
    check("incident")
    now = datetime.now(UTC)
    failed("run1", "drift", dag_id=f"drift_{MODEL}", ran_at=now)
    failed("r2", "report_quarantined", ran_at=now)
    assert tell() == [("new", "traffic")]


def test_a_channel_that_takes_no_alerts_is_told_to_the_others_only_when_that_lasts() -> None:
    now = datetime.now(UTC)
    failed("m1", "send_alerts", dag_id="reconcile_ledger", ran_at=now)
    assert tell(now + timedelta(minutes=14)) == []
    failed("m15", "send_alerts", dag_id="reconcile_ledger", ran_at=now + timedelta(minutes=15))
    assert tell(now + timedelta(minutes=16)) == [("new", "reconcile_ledger")]
    failed("m17", "faults", dag_id="reconcile_ledger", ran_at=now + timedelta(minutes=17))
    assert tell(now + timedelta(minutes=18)) == [("changed", "reconcile_ledger")]


def test_what_is_silenced_is_not_sent_and_is_new_when_the_silence_ends_and_it_lasts() -> None:
    ask(days=2, of="drift")
    check("wait", ("alarm", "location", "amount"))
    note(Action.BATCH, "quarantined", "b7")
    now = datetime.now(UTC)
    assert tell(now) == [("new", "b7")]
    assert [each.reason for each in records.open_troubles(MODEL)] == ["drift", "quarantine"], "it is listed"
    assert tell(now + DAY * 0.9) == []
    assert tell(now + DAY * 2.1, remind=DAY * 9) == [("new", "traffic")]


def test_what_ends_while_it_is_silenced_is_never_told() -> None:
    check("wait")
    assert tell() == [("new", "traffic")]
    ask(days=1)
    check("quiet")
    assert tell() == []
    assert tell(datetime.now(UTC) + DAY * 2) == []


def test_a_silence_is_in_the_ledger_and_is_ended_by_its_word_once() -> None:
    ask(days=0.5, of="drift")
    ask(days=1, key="another")
    assert [(each.of, each.by, each.why) for each in records.silences_of(MODEL)] == [
        (None, "ann", "I know."),
        ("drift", "ann", "I know."),
    ]
    ask(days=None, of="drift")
    ask(days=None, of="drift")  # the step is tried again
    assert [each.of for each in records.silences_of(MODEL)] == [None]
    with pytest.raises(InvalidRequest, match="No silence of alerts about ask of 'review_sentiment' holds"):
        ask(days=None, of="ask")
    ask(days=None)
    assert records.silences_of(MODEL) == []
    told = [(entry.before, entry.after) for entry in entries.history(MODEL, {Action.SILENCE})]
    assert told == [("drift", "silenced"), ("all", "silenced"), ("drift", "ended"), ("all", "ended")]


def test_a_channel_that_was_told_nothing_is_told_whatever_others_were() -> None:
    check("wait")
    tell()
    items = due(records.open_troubles(MODEL), records.told_of("chat", MODEL), [], datetime.now(UTC), DAY)
    assert [item.kind for item in items] == ["new"]


def test_a_look_at_years_of_a_ledger_reads_only_its_end() -> None:
    for number in range(records.MOST + 5):
        check("wait", ("alarm", "location", f"column{number}"))
    [trouble] = records.open_troubles(MODEL)
    assert isinstance(trouble, Trouble)
    assert trouble.entry == records.MOST + 5


def test_what_is_still_there_is_not_over_however_much_was_written_since() -> None:
    ask(days=9, of="rollback")
    note(Action.BATCH, "quarantined", "b0")
    check("quiet")
    began = check("wait")
    assert sorted(tell()) == [("new", "b0"), ("new", "traffic")]
    for number in range(records.MOST + 1):
        note(Action.BATCH, "trusted", f"b{number + 1}")
        check("too_few", at=number)
        ask(days=1, of="drift", key=str(number))
    ask(days=None, of="drift")
    now = datetime.now(UTC)
    assert tell(now) == [], "neither batch nor drift is over"
    assert [each.subject for each in records.open_troubles(MODEL, now)] == ["traffic", "b0"]
    assert records.open_troubles(MODEL, now) == records.listed(MODEL, entries.history, now)[0]
    assert [each.of for each in records.silences_of(MODEL, now)] == ["rollback"]
    for number in range(records.MOST + 1):
        check("wait", at=number)
    [trouble] = [each for each in records.open_troubles(MODEL, now) if each.subject == "traffic"]
    assert trouble.since == began.at
    assert records.open_troubles(MODEL, now) == records.listed(MODEL, entries.history, now)[0]
    check("quiet", at="the end")
    note(Action.BATCH, "released", "b0")
    assert sorted(tell()) == [("resolved", "b0"), ("resolved", "traffic")]


@pytest.mark.parametrize("end", ["promoted", "stage", None])
def test_a_release_that_did_not_go_through_is_over_with_a_newer_one_that_does(end: str | None) -> None:
    note(Action.RELEASE, "roll_back", "1", release_id="r", version="2")
    failed("run1", "judge_canary_5", dag_id=f"release_{MODEL}", ran_at=datetime.now(UTC))
    later = {"model": MODEL, "actor": "airflow:release_r/run2/promote", "before": "1", "why": "It is good."}
    assert [each.reason for each in records.open_troubles(MODEL)] == ["release"]

    refused = {"release_id": "s", "version": "3", "at": "accept"}
    another = {**later, "actor": "airflow:release_r/run3/accept"}
    entries.record(**another, action=Action.RELEASE, after="refused", evidence=refused)
    assert len(records.open_troubles(MODEL)) == 2, "another that did not go through ends nothing"
    if end:
        evidence = {"release_id": "t", "version": "4", "at": "here"}
        entries.record(**later, action=Action.RELEASE, after=end, evidence=evidence)
    else:
        entries.record(**later, action=Action.DEPLOY, after="4", evidence={})

    assert records.open_troubles(MODEL) == []
    assert records.listed(MODEL, entries.history, datetime.now(UTC))[0] == []


def test_a_release_whose_own_run_failed_after_it_served_is_told_and_one_that_was_taken_back_ends_none() -> (
    None
):
    at = datetime.now(UTC)
    failed("run1", "calibrate", dag_id=f"release_{MODEL}", ran_at=at)
    note(Action.RELEASE, "promoted", "1", release_id="r", version="2")
    assert [each.reason for each in records.open_troubles(MODEL)] == ["failed_step"]

    later = {"model": MODEL, "actor": "person:ann", "why": "So.", "evidence": {}}
    entries.record(**later, action=Action.DEPLOY, before="2", after="3")
    assert records.open_troubles(MODEL) == []
    entries.record(**{**later, "evidence": {"undoes": True}}, action=Action.ROLLBACK, before="3", after="2")
    assert "failed_step" in {each.reason for each in records.open_troubles(MODEL)}


def test_a_training_past_its_deadline_is_told_until_it_ends() -> None:
    late = LateRun(
        dag_id=f"train_{MODEL}", run_id="r1", name=MODEL, deadline=datetime(2026, 11, 1, 6, tzinfo=UTC)
    )
    note_late(late)
    note_late(late)
    now = datetime.now(UTC)

    [trouble] = records.open_troubles(MODEL, now)

    assert (trouble.reason, trouble.since, trouble.step) == ("late", late.deadline, f"train_{MODEL}/r1")
    assert records.listed(MODEL, entries.history, now, late_runs())[0] == [trouble]
    assert tell(now) == [("new", "r1")]
    assert tell(now) == []
    note_ended(f"train_{MODEL}", "another")
    assert tell(now + DAY) == [("reminder", "r1")]
    note_ended(f"train_{MODEL}", "r1")
    assert tell(now + DAY) == [("resolved", "r1")]


def test_the_model_s_page_stands_once_in_a_message_however_much_it_says() -> None:
    note(Action.BATCH, "quarantined", "b7")
    note(Action.BATCH, "quarantined", "b8")
    page = f"https://airflow.example/perennial/models/{MODEL}"
    items = due(records.open_troubles(MODEL), [], [], datetime.now(UTC), DAY)

    told = compose(MODEL, items, lambda _: [], page)

    assert (len(told.items), told.page) == (2, page)
    assert told.text.count(page) == 1
    assert told.text.endswith(f"\n\nAll about it: {page}")
    assert page not in compose(MODEL, items, lambda _: []).text, "a table has none"
