"""What the command makes of Airflow's answers, here a small server's; the system tests ask the real one."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli import asked, runs
from cli.airflow import PAGE, Airflow, AirflowRefused, log_in
from cli.approve import the_one
from cli.exits import LoginRefused, PlatformAway
from plugins.failures import FINAL_FAILURES
from tasks.errors import InvalidRequest
from tests.unit.cli.conftest import Ask

Serve = Callable[[dict[str, Any]], Airflow]
LOGIN = {"POST /auth/token": (201, {"access_token": "good"})}
RUN = "/api/v2/dags/rollback_model/dagRuns/one"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A client of a server that gives each path its answer: a status and a document."""
    servers = []

    def start(answers: dict[str, Any]) -> Airflow:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                key = f"{self.command} {self.path}"
                known = key in answers or f"{self.command} {self.path.partition('?')[0]}" in answers
                found = answers.get(key, answers.get(f"{self.command} {self.path.partition('?')[0]}"))
                status, document = found if known else (404, {"detail": f"no {self.path}"})
                if self.path.startswith("/api") and self.headers["Authorization"] != "Bearer good":
                    status, document = 401, {"detail": "Invalid JWT token"}
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        return Airflow(url, lambda: log_in(url, "ann", "secret"), retries=1)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_token_that_has_ended_is_asked_for_anew(serve: Serve) -> None:
    airflow = serve({**LOGIN, "GET /api/v2/version": (200, {"version": "3"})})
    airflow._session.headers["Authorization"] = "Bearer ended"
    assert airflow.get("/version") == {"version": "3"}


def test_a_wrong_token_or_password_is_a_refused_login(serve: Serve) -> None:
    url = serve({"POST /auth/token": (401, {"detail": "Invalid credentials"})}).url
    for token in (lambda: "wrong", lambda: log_in(url, "ann", "wrong")):
        with pytest.raises(LoginRefused, match="refuses this user or token: HTTP 401, Invalid"):
            Airflow(url, token).get("/version")


def test_where_nothing_listens_the_platform_is_away() -> None:
    with pytest.raises(PlatformAway, match="Connection refused"):
        Airflow("http://127.0.0.1:9", lambda: "good", retries=0).get("/version")


def test_what_airflow_says_itself_is_told(serve: Serve) -> None:
    wrong = {"detail": "Invalid input for param epochs"}
    airflow = serve({**LOGIN, "POST /api/v2/dags/train/dagRuns": (400, wrong), "GET /api/v2/dags": (500, {})})
    with pytest.raises(InvalidRequest, match="Invalid input for param epochs"):
        airflow.start("train", {"epochs": "nine"})
    with pytest.raises(AirflowRefused, match="HTTP 500"):
        airflow.get("/dags")


def test_a_list_of_several_pages_is_read_to_its_end(serve: Serve) -> None:
    first, last = [{"dag_id": str(number)} for number in range(PAGE)], [{"dag_id": "last"}]
    airflow = serve(
        {
            **LOGIN,
            f"GET /api/v2/dags?limit={PAGE}&offset=0": (200, {"dags": first}),
            f"GET /api/v2/dags?limit={PAGE}&offset={PAGE}": (200, {"dags": last}),
        }
    )
    assert len(list(airflow.every("/dags", "dags"))) == PAGE + 1


def test_a_run_of_a_paused_dag_is_not_started_unless_it_is_switched_on(serve: Serve) -> None:
    answers = {**LOGIN, "GET /api/v2/dags/train/details": (200, {"is_paused": True, "params": {}})}
    with pytest.raises(InvalidRequest, match="--unpause"):
        asked.start(serve(answers), "train", {})
    more = {"PATCH /api/v2/dags/train": (200, {}), "POST /api/v2/dags/train/dagRuns": (200, {})}
    assert asked.start(serve(answers | more), "train", {}, unpause=True).startswith("manual__")


def test_a_field_that_the_form_has_not_starts_no_run(serve: Serve) -> None:
    there = {"is_paused": False, "params": {"epochs": {}, "reason": {}}}
    airflow = serve({**LOGIN, "GET /api/v2/dags/train/details": (200, there)})
    with pytest.raises(InvalidRequest, match=r"has no field nosuch\. It has: epochs, reason"):
        asked.start(airflow, "train", {"nosuch": 1, "epochs": 2})


def test_a_run_that_was_started_though_nobody_heard_of_it_is_not_started_again(serve: Serve) -> None:
    there = {"POST /api/v2/dags/train/dagRuns": (409, {"detail": "a run of this id is there"})}
    assert serve({**LOGIN, **there}).start("train", {}).startswith("manual__")


def test_alerts_that_cannot_be_sent_are_told_as_wrong(serve: Serve) -> None:
    nothing = {"task_instances": [], "dag_runs": [], "import_errors": []}
    paths = ("dags/~/dagRuns/~/taskInstances", "dags/~/dagRuns", "importErrors")
    look = "/api/v2/dags/reconcile_ledger/dagRuns"
    task = {"dag_id": "reconcile_ledger", "dag_run_id": "one", "task_id": "send_alerts", "try_number": 1}
    said = "PERENNIAL_ALERTS names 'pager', which is no connection of Airflow's."
    log = [{"error_detail": [{"exc_type": "StepInvalid", "exc_value": said}]}]
    answers = {
        **LOGIN,
        **{f"GET /api/v2/{path}": (200, nothing) for path in paths},
        "GET /api/v2/monitor/health": (200, {}),
        "GET /api/v2/dags": (200, {"dags": [{"dag_id": "reconcile_ledger", "is_paused": False}]}),
        f"GET {look}": (200, {"dag_runs": [{"state": "failed", "dag_run_id": "one"}]}),
        f"GET {look}/one/taskInstances/send_alerts/logs/1": (200, {"content": log}),
    }

    def told(state: str) -> tuple[str, ...]:
        tasks = {"task_instances": [{**task, "state": state, "start_date": None}]}
        return runs.look(serve(answers | {f"GET {look}/one/taskInstances": (200, tasks)}), "a").faults

    [fault] = told("failed")
    assert fault.startswith(f"Alerts or the heartbeat cannot be sent: {said[:-1]}. http")
    assert told("skipped") == ()


def test_a_failure_of_another_models_run_or_of_a_quarantined_batch_is_not_told(serve: Serve) -> None:
    names = ("train_a", "train_b", "train_quarantined", "ingest_rows")
    dags = [{"dag_id": name, "is_paused": False} for name in names]
    run = "GET /api/v2/dags/train_quarantined/dagRuns/one/taskInstances"
    report = {"dag_id": "train_quarantined", "dag_run_id": "one", "task_id": "report_quarantined"}
    report |= {"state": "failed", "try_number": 1, "start_date": None}
    failed = {"dag_runs": [{"state": "failed", "dag_run_id": "one", "run_after": "2026-11-01T00:00:00Z"}]}
    airflow = serve(
        {
            **LOGIN,
            "GET /api/v2/dags": (200, {"dags": dags}),
            "GET /api/v2/dags/~/dagRuns/~/taskInstances": (200, {"task_instances": []}),
            "GET /api/v2/dags/~/dagRuns": (200, {"dag_runs": []}),
            "GET /api/v2/monitor/health": (200, {}),
            "GET /api/v2/importErrors": (200, {"import_errors": []}),
            **{f"GET /api/v2/dags/{dag['dag_id']}/dagRuns": (200, failed) for dag in dags},
            **{
                f"GET /api/v2/dags/{dag['dag_id']}/dagRuns/one/taskInstances": (200, {"task_instances": []})
                for dag in dags
            },
            run: (200, {"task_instances": [report]}),
        }
    )
    assert [each.dag_id for each in runs.look(airflow, "a").failed] == ["train_a", "ingest_rows"]
    assert len(runs.look(airflow).failed) == 3


def test_a_run_that_asks_a_person_is_told_with_what_waits_behind_it(serve: Serve) -> None:
    """A release that somebody ended asks on, and every later one of the model waits for the answer."""
    since = {"dag_id": "release_a", "run_after": "2026-11-01T00:00:00Z"}
    there = [("one", "running"), ("two", "queued"), ("three", "queued")]
    task = {"dag_id": "release_a", "dag_run_id": "one", "task_id": "ask_before_canary_100"}
    found = {
        "dagRuns/~/taskInstances": {"task_instances": [{**task, "state": "awaiting_input"}]},
        "dagRuns": {"dag_runs": [{**since, "dag_run_id": run_id, "state": state} for run_id, state in there]},
    }
    asked = {"task_instance": {**task, "state": "awaiting_input"}, "subject": "Does it go on?"}
    asked |= {"body": "What was found.\n\nUntil 2026-11-01 12:00 UTC; without an answer: refuse."}
    found |= {"dagRuns/~/hitlDetails": {"hitl_details": [asked]}}
    airflow = serve(
        {
            **LOGIN,
            "GET /api/v2/dags": (200, {"dags": []}),
            "GET /api/v2/monitor/health": (200, {}),
            "GET /api/v2/importErrors": (200, {"import_errors": []}),
            **{f"GET /api/v2/dags/~/{path}": (200, answer) for path, answer in found.items()},
        }
    )

    at_work = runs.look(airflow).runs

    assert [str(run) for run in at_work] == [
        "release_a: ask_before_canary_100",
        "release_a: queued",
        "release_a: queued",
    ]
    [said] = runs.questions(at_work, airflow.page)
    assert said.startswith(
        "release_a: the run one waits for an answer to ask_before_canary_100. 2 later runs"
    )
    assert "wait behind it. Where its release was ended meanwhile, reject it. http" in said
    assert said.splitlines()[1:] == [
        "  Does it go on?",
        "  What was found.",
        "  Until 2026-11-01 12:00 UTC; without an answer: refuse.",
        '  Answer there, or: perennial approve a --why "...", or reject in place of approve.',
    ]


def test_the_release_of_a_model_is_answered_before_its_drift_check_and_with_the_reason(serve: Serve) -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    drift, release, other = (
        runs.Run(dag_id, "a run", "running", ("ask",), since, asks="ask")
        for dag_id in ("drift_a", "release_a", "release_ab")
    )
    assert the_one("a", [drift, release, other]) == release
    assert the_one("a", [other, drift]) == drift
    with pytest.raises(InvalidRequest, match="Nothing of a waits"):
        the_one("a", [other])
    place = "PATCH /api/v2/dags/release_a/dagRuns/a%20run/taskInstances/ask/-1/hitlDetails"
    airflow = serve({**LOGIN, place: (200, {"chosen_options": ["Reject"]})})
    assert runs.answer(airflow, release, "Reject", "It is rude.") == {"chosen_options": ["Reject"]}


def failed_run(*failed: tuple[str, str, str]) -> dict[str, Any]:
    """The answers on a run whose tasks failed: each one's name, error and last words."""
    tasks = [
        {"dag_id": "rollback_model", "dag_run_id": "one", "task_id": name, "state": "failed", "try_number": 1}
        | {"start_date": None}
        for name, _, _ in failed
    ]
    logs = {
        f"GET {RUN}/taskInstances/{name}/logs/1": (
            200,
            {"content": [{"error_detail": [{"exc_type": error, "exc_value": said}]}]},
        )
        for name, error, said in failed
    }
    run = {f"GET {RUN}": (200, {"state": "failed"})}
    return {**LOGIN, **run, f"GET {RUN}/taskInstances": (200, {"task_instances": tasks}), **logs}


QUARANTINED = ("report_quarantined", "AirflowFailException", "The batch b7 is quarantined.")


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        ([("rollback", "AirflowException", "There is nothing to go back to.")], 1),
        ([("rollback", "StepRefused", "There is nothing to go back to.")], 10),
        ([("rollback", "StepInvalid", "There is nothing to go back to.")], 20),
        ([("rollback", "StepHadNothing", "There is nothing to go back to.")], 30),
        ([QUARANTINED], 11),
        ([QUARANTINED, ("rollback", "StepInvalid", "There is nothing to go back to.")], 20),
    ],
)
def test_a_run_that_fails_tells_what_its_tasks_said_by_the_code_too(
    serve: Serve, failed: list[tuple[str, str, str]], code: int
) -> None:
    with pytest.raises(asked.RunFailed) as raised:
        asked.follow(serve(failed_run(*failed)), "rollback_model", "one")
    assert all(f"{name}: {said.rstrip('.')}" in str(raised.value) for name, _, said in failed)
    assert raised.value.exit_code == code


def test_the_errors_of_the_tasks_are_known_by_their_names() -> None:
    assert {error.__name__: code for code, error in FINAL_FAILURES.items()} == runs.FAILED_WITH


GATE = {"verdict": "promote", "why": "All passed.", "rules": []}
INCIDENT = {
    "verdict": "hold",
    "why": "The champion falls.",
    "rules": [{"rule": "label_incident", "passed": False}],
}


@pytest.mark.parametrize(
    ("state", "gate", "code", "failed"),
    [
        ("success", GATE, 0, []),
        ("success", GATE | {"verdict": "reject"}, 10, []),
        ("success", INCIDENT, 12, []),
        ("success", None, 30, []),
        ("failed", GATE, 11, ["report_quarantined"]),
        ("failed", INCIDENT, 12, ["report_quarantined"]),
        ("failed", None, 11, ["report_quarantined"]),
    ],
)
def test_how_a_training_ended_is_told_by_the_code(
    ask: Ask,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    gate: Any,
    code: int,
    failed: list[str],
) -> None:
    run = "GET /api/v2/dags/train_review_sentiment/dagRuns/one"
    answers = {
        name.replace("rollback_model", "train_review_sentiment"): answer
        for name, answer in failed_run(QUARANTINED).items()
    }
    tasks = answers[f"{run}/taskInstances"][1]["task_instances"]
    tasks[0]["dag_id"] = "train_review_sentiment"
    result = (404, {}) if gate is None else (200, {"value": json.dumps(gate)})
    airflow = serve(
        answers
        | {
            run: (200, {"state": state}),
            "GET /api/v2/dags/train_review_sentiment/details": (200, {"is_paused": False, "params": {}}),
            "POST /api/v2/dags/train_review_sentiment/dagRuns": (200, {}),
            f"{run}/taskInstances/gate/xcomEntries/return_value": result,
        }
    )
    monkeypatch.setattr("cli.airflow.Airflow.start", lambda *_: "one")
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("PERENNIAL_TOKEN", "good")

    told = ask("train", "review_sentiment", "--wait", "--json")

    assert told.code == code, told.said
    document = json.loads(told.shown)
    assert (document["gate"], [each["task"] for each in document["failed"]]) == (gate, failed)


def test_an_airflow_that_does_not_answer_is_one_of_the_things_that_are_wrong() -> None:
    found = runs.look(Airflow("http://127.0.0.1:9", lambda: "good", retries=0))
    assert (found.runs, len(found.faults)) == ((), 1)
