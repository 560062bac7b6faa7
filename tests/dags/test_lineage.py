"""Airflow's OpenLineage provider with our operators: events of real tasks, at a collector or in a file."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from embedded import lineage, ports
from plugins import housekeeping
from tasks.settings import settings
from tests.dags.runs import RunDag, SetScript, grant, pause, states
from tests.documents import blocks

Event = dict[str, Any]
SwitchOn = Callable[..., None]
COLLECT, TRAIN, DRIFT = "collect_review_sentiment", "train_review_sentiment", "drift_review_sentiment"
NAMESPACE = "perennial-tests"
ASKED_FOR = "asked_for__by_drift"


class Collector:
    """An HTTP server that keeps what it is sent, as Marquez would."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.asked: list[tuple[str, str | None]] = []
        seen = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.asked.append((self.path, self.headers["Authorization"]))
                seen.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_said: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def lineage_to(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SwitchOn]:
    """Switches OpenLineage on, as the platform does for a setting, for the rest of the test."""
    from airflow.sdk.listener import get_listener_manager

    listeners = get_listener_manager().pm  # made while it is off, so that the provider's plugin adds none
    added: list[Any] = []

    def switch_on(url: str, key: str = "") -> None:
        for name, value in lineage.options(url, key, NAMESPACE).items():
            monkeypatch.setenv(f"AIRFLOW__OPENLINEAGE__{name.upper()}", str(value))
        monkeypatch.setenv("PERENNIAL_INSTALLATION", NAMESPACE)
        settings.cache_clear()
        from airflow.providers.openlineage.plugins.listener import OpenLineageListener

        added.append(OpenLineageListener())
        listeners.register(added[0])

    yield switch_on
    for listener in added:
        listeners.unregister(listener)


def datasets(event: Event, side: str) -> set[tuple[str, str, str | None]]:
    """Namespace, name and version of what an event says was read, or written."""
    return {
        (each["namespace"], each["name"], each["facets"].get("version", {}).get("datasetVersion"))
        for each in event[side]
    }


def ended(events: list[Event]) -> dict[str, Event]:
    """The last event of each job."""
    return {event["job"]["name"]: event for event in events if event["eventType"] in {"COMPLETE", "FAIL"}}


def test_a_training_is_one_chain_from_the_table_to_what_serves(
    run_dag: RunDag, heavy: SetScript, home: Path, lineage_to: SwitchOn, collector: Collector
) -> None:
    lineage_to(collector.url, key="a-bearer-token")

    run = run_dag(TRAIN)

    assert set(states(run).values()) == {"success"}
    assert set(collector.asked) == {("/api/v1/lineage", "Bearer a-bearer-token")}
    of_job = ended(collector.events)
    tasks = {name.removeprefix(f"{TRAIN}."): event for name, event in of_job.items()}
    assert set(tasks) == set(states(run))
    assert {event["job"]["namespace"] for event in of_job.values()} == {NAMESPACE}
    parents = [event["run"]["facets"]["parent"] for event in tasks.values()]
    assert {parent["job"]["name"] for parent in parents} == {TRAIN}
    assert len({parent["run"]["runId"] for parent in parents}) == 1

    reviews = ("file", str(home / "lake" / "reviews"), "1")
    made = {verb: datasets(event, "outputs") for verb, event in tasks.items()}
    read = {verb: datasets(event, "inputs") for verb, event in tasks.items()}
    assert read["count"] == read["snapshot"] == {reviews}
    assert made["snapshot"] == read["validate"]
    assert read["train"] < made["snapshot"]
    assert made["train"] == read["package"]
    assert read["evaluate"] == made["package"] | (made["snapshot"] - read["train"])
    assert read["gate"] == made["package"] | made["evaluate"]
    assert (read["register"], read["deploy"]) == (made["package"], made["register"])
    assert made["deploy"] == {(settings().gateway_url, "v1/models/review_sentiment", "1")}
    for block in [block for block in blocks("json") if block.label.startswith("event of ")]:
        example = json.loads(block.text)
        assert example["job"]["name"] == block.label.removeprefix("event of ")
        assert is_like(example, of_job[example["job"]["name"]])


def is_like(example: Any, event: Any) -> bool:
    """Whether the event has all that the example has, by other names and numbers where it is about others."""
    if isinstance(example, dict):
        return example.keys() <= event.keys() and all(is_like(example[key], event[key]) for key in example)
    if isinstance(example, list):
        return all(any(is_like(one, other) for other in event) for one in example)
    return type(example) is type(event)


def test_a_file_gets_one_event_a_line(
    run_dag: RunDag, heavy: SetScript, home: Path, lineage_to: SwitchOn
) -> None:
    lineage_to(f"file://{home}/lineage.jsonl")

    run_dag(COLLECT)

    events = [json.loads(line) for line in (home / "lineage.jsonl").read_text().splitlines()]
    collected = ended(events)[f"{COLLECT}.collect"]
    assert [event["eventType"] for event in events if event["job"]["name"] == f"{COLLECT}.collect"] == [
        "START",
        "COMPLETE",
    ]
    predictions = str(home / "lake" / "review_sentiment__predictions")
    assert datasets(collected, "outputs") == {("file", predictions, None)}


def test_a_step_that_fails_says_what_it_was_to_read_and_why_it_failed(
    run_dag: RunDag, heavy: SetScript, home: Path, lineage_to: SwitchOn
) -> None:
    heavy({"collect": [{"exit": 10, "error": "This cannot be."}]})
    lineage_to(f"file://{home}/lineage.jsonl")

    run_dag(COLLECT)

    events = [json.loads(line) for line in (home / "lineage.jsonl").read_text().splitlines()]
    failed = ended(events)[f"{COLLECT}.collect"]
    assert failed["eventType"] == "FAIL"
    assert "This cannot be." in failed["run"]["facets"]["errorMessage"]["message"]
    assert datasets(failed, "inputs") == {(settings().gateway_url, "log/review_sentiment", None)}
    assert failed["outputs"] == []


def test_what_looks_each_minute_tells_nothing_until_something_is_settled(
    run_dag: RunDag, heavy: SetScript, home: Path, lineage_to: SwitchOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = {"model": "review_sentiment", "outcome": "released", "why": "The alias was moved to version 3."}
    heavy({"reconcile": [{"result": {"settled": [settled]}}]})
    monkeypatch.setattr(housekeeping, "differing_models", lambda: ["review_sentiment"])
    lineage_to(f"file://{home}/lineage.jsonl")

    run_dag("reconcile_ledger")

    events = [json.loads(line) for line in (home / "lineage.jsonl").read_text().splitlines()]
    assert {event["job"]["name"] for event in events} == {"reconcile_ledger.reconcile"}
    done = ended(events)["reconcile_ledger.reconcile"]
    assert datasets(done, "outputs") == {(settings().gateway_url, "v1/models/review_sentiment", None)}
    assert not emits("reconcile_ledger")
    assert not emits("tidy_docker")
    assert emits(TRAIN)


def emits(dag_id: str) -> bool:
    """Whether the events of the DAG's runs, which the scheduler sends, are sent."""
    from airflow.providers.openlineage.utils.emission_policy import resolve_dag_emission_policy

    return bool(resolve_dag_emission_policy(dag_id=dag_id).emit)


def test_a_collector_that_is_away_fails_nothing_and_is_told_in_the_log(
    run_dag: RunDag, heavy: SetScript, lineage_to: SwitchOn, capfd: pytest.CaptureFixture[str]
) -> None:
    lineage_to(f"http://127.0.0.1:{ports.free_port()}")

    run = run_dag(COLLECT)

    assert run.state == "success"
    said = capfd.readouterr()
    assert re.search(r"warning.*Failed to emit OpenLineage `COMPLETE` event", said.out + said.err)


def test_a_collector_that_never_answers_holds_a_task_no_longer_than_it_may(
    run_dag: RunDag, heavy: SetScript, lineage_to: SwitchOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "SEND_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lineage_to(f"http://127.0.0.1:{silent.getsockname()[1]}")
        run = run_dag(COLLECT)

    [task] = run.get_task_instances()
    assert task.state == "success"
    assert task.duration < lineage.LONGEST_SECONDS


def test_a_training_that_drift_started_knows_whose_child_it_is(
    run_dag: RunDag, heavy: SetScript, lineage_to: SwitchOn, collector: Collector
) -> None:
    drifted = {"result": {"verdict": "retrain", "why": "The traffic moved."}}
    heavy({"drift": [{}, drifted], "retrain": [{"result": {"train_run_id": ASKED_FOR}}]})
    run_dag(DRIFT)  # makes the DAGs known to the database
    pause(TRAIN, paused=False)
    grant(ASKED_FOR)
    lineage_to(collector.url)

    run_dag(DRIFT)

    asker = started(ASKED_FOR)["openlineage"]
    assert asker["parentJobName"] == f"{DRIFT}.start_training"
    assert asker["parentRunId"] == ended(collector.events)[asker["parentJobName"]]["run"]["runId"]


def started(run_id: str) -> dict[str, Any]:
    """What the run was started with."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        return dict(session.scalars(sa.select(DagRun).filter_by(run_id=run_id)).one().conf)
