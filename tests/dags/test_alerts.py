"""Alerts as the DAG of each minute sends them: to a real mail server, a real web server and Slack's way."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from plugins.alerts import Channel
from tasks.contracts import Action
from tasks.errors import ServingError
from tasks.ledger import entries
from tasks.monitoring.loop.beats import newest_beat
from tasks.settings import settings
from tests.dags.inboxes import MailServer, WebServer, serving
from tests.dags.runs import RunDag, SetScript, asked, states, tries, xcom

MODEL = "review_sentiment"
Use = Callable[..., None]


@pytest.fixture
def inbox() -> Iterator[MailServer]:
    server = MailServer()
    with serving(server):
        yield server


@pytest.fixture
def hook() -> Iterator[WebServer]:
    server = WebServer()
    with serving(server):
        yield server


@pytest.fixture
def use(heavy: SetScript, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Sets the channels, each an Airflow connection."""

    def channels(**connections: dict[str, Any]) -> None:
        monkeypatch.setattr("plugins.housekeeping.differing_models", list)
        monkeypatch.setenv("PERENNIAL_ALERTS", ", ".join(connections))
        for name, connection in connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        settings.cache_clear()

    return channels


def mail(server: MailServer) -> dict[str, Any]:
    plain = {"disable_ssl": True, "disable_tls": True, "retry_limit": 1, "timeout": 5}
    about = {"from_email": "perennial@example.org", "to": "team@example.org, ann@example.org"}
    return {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, "extra": {**plain, **about}}


def web(server: WebServer, kind: str = "http") -> dict[str, Any]:
    url = f"http://127.0.0.1:{server.server_port}/services/T1"
    return {"conn_type": kind, "host": url, **({"password": url} if kind == "slackwebhook" else {})}


def note(action: Action, after: str, why: str, before: str = "r1", **evidence: Any) -> None:
    actor = f"airflow:drift_{MODEL}/scheduled__2026-11-28T04:00:00+00:00/drift"
    evidence["at"] = datetime.now(UTC)
    entries.record(
        model=MODEL, actor=actor, action=action, before=before, after=after, why=why, evidence=evidence
    )


def test_one_message_a_model_reaches_each_channel_once_and_is_not_sent_again_when_the_task_is_cleared(
    run_dag: RunDag, use: Use, inbox: MailServer, hook: WebServer
) -> None:
    use(mail_team=mail(inbox), hook_ops=web(hook))
    note(Action.DEPLOY, "3", "It is better.", before="2")
    note(Action.DRIFT, "wait", "The traffic moved: {{ 7 * 7 }} <b>&</b>.", decision={"signals": []})
    note(Action.BATCH, "quarantined", "The labels are poison.", before="b7")

    run = run_dag("reconcile_ledger")

    assert states(run)["send_alerts"] == "success"
    title = f"[Perennial] {MODEL}: drift, a batch is quarantined"
    assert xcom(run, "send_alerts") == [title, title]
    [(to, message)] = inbox.mails
    assert to == ["team@example.org", "ann@example.org"]
    assert message["Subject"] == title
    [page] = [part.get_content() for part in message.walk() if part.get_content_type() == "text/html"]
    assert "The traffic moved: {{ 7 * 7 }} &lt;b&gt;&amp;&lt;/b&gt;." in page
    assert "Version 3 serves." in page
    own = f"http://airflow.example/prefix/perennial/models/{MODEL}"
    assert page.count(own) == 1, "once, however many alerts"
    assert (
        f"http://airflow.example/prefix/dags/drift_{MODEL}/runs/"
        "scheduled__2026-11-28T04%3A00%3A00%2B00%3A00/tasks/drift" in page
    )
    [(path, document)] = hook.posts
    assert (path, document["model"], document["title"]) == ("/services/T1", MODEL, title)
    assert [(each["kind"], each["reason"]) for each in document["alerts"]] == [
        ("new", "drift"),
        ("new", "quarantine"),
    ]
    assert document["page"] == own
    assert document["id"] == message["X-Perennial-Alert"]

    assert xcom(run_dag("reconcile_ledger"), "send_alerts") == []
    note(Action.DRIFT, "quiet", "All is as it was.", decision={"signals": []})
    assert xcom(run_dag("reconcile_ledger"), "send_alerts") == [f"[Perennial] {MODEL}: over: drift"] * 2
    assert (len(inbox.mails), len(hook.posts)) == (2, 2)


def test_a_channel_that_refuses_is_told_again_and_the_others_only_once(
    run_dag: RunDag, use: Use, inbox: MailServer, hook: WebServer, capfd: pytest.CaptureFixture[str]
) -> None:
    use(mail_team=mail(inbox), hook_ops=web(hook))
    inbox.refuses = True
    note(Action.DRIFT, "incident", "Half the rows are gone.", decision={"signals": []})

    run = run_dag("reconcile_ledger")

    assert (states(run)["send_alerts"], tries(run)["send_alerts"]) == ("failed", 1)
    assert f"mail_team did not take the alert of {MODEL}" in capfd.readouterr().out
    assert states(run)["look"] == "success", "what is looked for each minute is looked for all the same"
    inbox.refuses, hook.status = False, 503
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"
    assert (len(inbox.mails), len(hook.posts)) == (1, 1)


def test_what_was_sent_by_a_process_that_died_before_it_could_note_it_is_sent_again_under_its_old_id(
    run_dag: RunDag, use: Use, hook: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hook_ops=web(hook))
    note(Action.DRIFT, "incident", "Half the rows are gone.", decision={"signals": []})
    send = Channel.send

    def sends_and_dies(self: Channel, message: Any) -> None:
        send(self, message)
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Channel, "send", sends_and_dies)
        assert states(run_dag("reconcile_ledger"))["send_alerts"] == "failed"
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"
    [(_, first), (_, second)] = hook.posts
    assert first == second, "so that who gets it can tell"


def test_slack_is_told_in_its_own_way(run_dag: RunDag, use: Use, hook: WebServer) -> None:
    use(slack_ops=web(hook, "slackwebhook"))
    note(Action.DRIFT, "incident", "<!channel> & all", decision={"signals": []})
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"
    [(path, document)] = hook.posts
    assert path == "/services/T1"
    assert document["text"].startswith(f"*[Perennial] {MODEL}: broken data*\n")
    assert "&lt;!channel&gt; &amp; all" in document["text"]


@pytest.fixture
def pagerduty(hook: WebServer, monkeypatch: pytest.MonkeyPatch) -> WebServer:
    """Answers as PagerDuty's Events API v2 does, in its place: no test may open an incident of somebody's.

    Airflow's provider and PagerDuty's client are the real ones; the client, which takes HTTPS alone and has
    one address, is given another.
    """
    from pagerduty import EventsApiV2Client

    hook.status = 200
    hook.answer = b'{"status": "success", "message": "Event processed", "dedup_key": "x"}'
    url = f"http://127.0.0.1:{hook.server_port}"
    monkeypatch.setattr(EventsApiV2Client, "url", property(lambda _: url, lambda *_: None))
    return hook


def test_pagerduty_gets_an_event_of_each_alert_and_its_incident_is_resolved_when_it_is_over(
    run_dag: RunDag, use: Use, pagerduty: WebServer
) -> None:
    use(pager={"conn_type": "pagerduty_events", "password": "R0UT1NGKEY"})
    note(Action.DEPLOY, "3", "It is better.", before="2")
    note(Action.DRIFT, "incident", "Half the rows {{ are }} gone.", decision={"signals": []})
    note(Action.BATCH, "quarantined", "The labels are poison.", before="b7")

    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"
    note(Action.DRIFT, "quiet", "All is as it was.", decision={"signals": []})
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"

    assert [path for path, _ in pagerduty.posts] == ["/v2/enqueue"] * 3
    broken, batch, over = [document for _, document in pagerduty.posts]
    assert {each["routing_key"] for each in (broken, batch, over)} == {"R0UT1NGKEY"}
    actions = [each["event_action"] for each in (broken, batch, over)]
    assert actions == ["trigger", "trigger", "resolve"]
    assert over["dedup_key"] == broken["dedup_key"] != batch["dedup_key"]
    payload = broken["payload"]
    assert payload["summary"] == f"[Perennial] {MODEL}: broken data. Half the rows {{{{ are }}}} gone."
    assert (payload["severity"], batch["payload"]["severity"]) == ("critical", "warning")
    assert (payload["component"], payload["class"]) == (MODEL, "incident")
    assert payload["custom_details"]["version"] == "3"
    assert "No training answers broken data" in payload["custom_details"]["next_step"]
    links = [each["href"] for each in broken["links"]]
    assert links[-1] == f"http://airflow.example/prefix/perennial/models/{MODEL}"
    assert "/tasks/drift" in links[0]


def test_an_event_that_pagerduty_refuses_is_sent_again_to_the_same_incident(
    run_dag: RunDag, use: Use, pagerduty: WebServer
) -> None:
    use(pager={"conn_type": "pagerduty_events", "password": "R0UT1NGKEY"})
    note(Action.DRIFT, "incident", "Half the rows are gone.", decision={"signals": []})
    pagerduty.status = 400
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "failed"
    assert pagerduty.posts == []
    pagerduty.status = 200
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"
    assert [document["event_action"] for _, document in pagerduty.posts] == ["trigger"]


@pytest.mark.parametrize("channels", [True, False])
def test_each_minute_leaves_a_beat_and_tells_a_service_elsewhere(
    run_dag: RunDag, use: Use, hook: WebServer, monkeypatch: pytest.MonkeyPatch, channels: bool
) -> None:
    use(**({"hook_ops": web(hook)} if channels else {}))
    monkeypatch.setenv("PERENNIAL_HEARTBEAT_URL", f"http://127.0.0.1:{hook.server_port}/ping/s3cret")
    settings.cache_clear()
    before = datetime.now(UTC)

    run = run_dag("reconcile_ledger")

    assert states(run)["send_alerts"] == ("success" if channels else "skipped")
    beat = newest_beat()
    assert beat is not None
    assert before <= beat
    [(path, body)] = hook.beats
    assert path == "/ping/s3cret"
    name, _, time = body.partition(" ")
    assert name == "perennial_loop_beat_timestamp_seconds"
    assert int(before.timestamp()) <= int(time)


def test_a_heartbeat_that_is_refused_is_told_without_its_secret_and_alerts_are_sent_all_the_same(
    run_dag: RunDag,
    use: Use,
    hook: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    use(hook_ops=web(hook))
    monkeypatch.setenv("PERENNIAL_HEARTBEAT_METHOD", "GET")
    note(Action.DRIFT, "incident", "Half the rows are gone.", decision={"signals": []})
    for url, why in [
        (f"http://127.0.0.1:{hook.server_port}/ping/s3cret", "status 501"),
        ("http://127.0.0.1:9/ping/s3cret", "ConnectionError"),
        ("s3cret", "MissingSchema"),
    ]:
        monkeypatch.setenv("PERENNIAL_HEARTBEAT_URL", url)
        settings.cache_clear()
        assert states(run_dag("reconcile_ledger"))["send_alerts"] == "failed"
        told = capfd.readouterr().out
        assert f"({why}). It is sent again in a minute" in told
        assert "s3cret" not in told
    assert len(hook.posts) == 1, "the alert"


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ({"conn_type": "smtp", "host": "x"}, 'Add "to" to its extra'),
        (
            {"conn_type": "ftp", "host": "x"},
            "of the type 'ftp'. Alerts go by smtp, slackwebhook, http, pagerduty_events.",
        ),
        ({"conn_type": "pagerduty_events"}, "has no integration key. Give it as its password"),
    ],
)
def test_a_channel_that_cannot_be_one_is_named(
    run_dag: RunDag, use: Use, connection: dict[str, Any], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    use(wrong=connection)
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "failed"
    assert told in capfd.readouterr().out


def test_without_a_channel_nothing_is_sent_and_a_connection_that_is_missing_is_named(
    run_dag: RunDag, use: Use, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use()
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "skipped"
    monkeypatch.setenv("PERENNIAL_ALERTS", "nowhere")
    settings.cache_clear()
    assert states(run_dag("reconcile_ledger"))["send_alerts"] == "failed"
    assert "names 'nowhere', which is no connection of Airflow's" in capfd.readouterr().out


def test_a_failed_run_of_the_loop_is_told_and_over_with_the_next_that_succeeds(
    run_dag: RunDag, heavy: SetScript, use: Use, hook: WebServer, home: Path
) -> None:
    use(hook_ops=web(hook))
    heavy({"collect": [{"exit": 10, "error": "The gateway is away."}, {}]})
    run_dag(f"collect_{MODEL}", at=datetime(2026, 3, 1, tzinfo=UTC))
    run_dag("reconcile_ledger")
    [(_, document)] = hook.posts
    [alert] = document["alerts"]
    assert (alert["reason"], alert["why"]) == (
        "failed_step",
        f"The newest run of collect_{MODEL} failed: collect did.",
    )
    assert alert["links"][0].endswith("/tasks/collect")

    run_dag(f"collect_{MODEL}", at=datetime(2026, 3, 2, tzinfo=UTC))
    run_dag("reconcile_ledger")
    assert hook.posts[-1][1]["alerts"][0]["kind"] == "resolved"


def test_a_ledger_that_cannot_be_reconciled_is_told_once_and_is_over_when_a_look_succeeds(
    run_dag: RunDag, heavy: SetScript, use: Use, hook: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> list[str]:
        raise ServingError("The gateway does not answer.")

    use(hook_ops=web(hook))
    monkeypatch.setattr("plugins.housekeeping.differing_models", lambda: [MODEL])
    faults = {"result": {"settled": [], "faults": ["The backend does not answer."]}}
    whole = {"result": {"settled": [], "faults": []}}
    heavy({"reconcile": [faults, faults, faults, whole, whole]})

    run = run_dag("reconcile_ledger")
    assert (states(run)["faults"], hook.posts) == ("failed", [])
    for _ in range(2):
        assert states(run_dag("reconcile_ledger"))["send_alerts"] == "success"
    [(_, document)] = hook.posts
    assert document["title"] == "[Perennial] ledger: a run failed"
    [alert] = document["alerts"]
    assert (alert["kind"], alert["kinds"]) == ("new", ["faults"])
    assert alert["links"] == [
        f"http://airflow.example/prefix/dags/reconcile_ledger/runs/{quote(run.run_id, safe='')}/tasks/faults"
    ]

    with monkeypatch.context() as patched:
        patched.setattr("plugins.housekeeping.differing_models", away)
        assert states(run_dag("reconcile_ledger"))["look"] == "failed", (
            "what nobody could look at is not over"
        )
    assert states(run_dag("reconcile_ledger"))["reconcile"] == "success"
    assert xcom(run_dag("reconcile_ledger"), "send_alerts") == ["[Perennial] ledger: over: a run failed"]


def test_the_triggers_of_a_model_are_asked_of_the_step(run_dag: RunDag, heavy: SetScript, home: Path) -> None:
    assert xcom(run_dag("show_triggers", {"model": MODEL}), "triggers")["models"][0]["model"] == MODEL
    assert xcom(run_dag("show_triggers"), "triggers")["models"] == []
    assert [each["models"] for each in asked(home, "triggers")] == [[MODEL], []]


def test_the_form_of_a_silence_is_asked_of_the_step(run_dag: RunDag, heavy: SetScript, home: Path) -> None:
    run = run_dag("silence_alerts", {"model": MODEL, "of": "drift", "days": 2, "reason": "A sale."})
    assert states(run) == {"silence": "success"}
    [request] = asked(home, "silence")
    assert (request["model"], request["of"], request["days"], request["reason"]) == (
        MODEL, "drift", 2, "A sale.",
    )  # fmt: skip
