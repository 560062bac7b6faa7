"""A training past its deadline: the scheduler finds it, the triggerer notes it, people are told."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tasks.monitoring.alerts import records
from tasks.monitoring.alerts.late import late_runs
from tasks.settings import PROJECT, settings
from tests.dags.inboxes import WebServer, serving
from tests.dags.runs import RunDag, SetScript, pause

if TYPE_CHECKING:
    from airflow.models import DagRun
    from fastapi.testclient import TestClient

MODEL, RUN = "late_model", "a_slow_one"
TRAIN = f"train_{MODEL}"
RUNS = f"/api/v2/dags/{TRAIN}/dagRuns"
MakeModel = Callable[..., None]
RunQueued = Callable[[str], "DagRun"]


@pytest.fixture
def hook() -> Iterator[WebServer]:
    server = WebServer()
    with serving(server):
        yield server


@pytest.fixture
def in_airflow(
    home: Path, heavy: SetScript, run_dag: RunDag, hook: WebServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeModel]:
    """Puts a model into Airflow's database whose trainings have so many hours, with a channel."""
    folder = home / "models"
    monkeypatch.setenv("PERENNIAL_MODELS", str(folder))
    monkeypatch.setenv("PERENNIAL_ALERTS", "hook_ops")
    connection = {"conn_type": "http", "host": f"http://127.0.0.1:{hook.server_port}/alerts"}
    monkeypatch.setenv("AIRFLOW_CONN_HOOK_OPS", json.dumps(connection))
    monkeypatch.setattr("plugins.housekeeping.differing_models", list)
    settings.cache_clear()

    def made(hours: float | None, model: str = MODEL) -> None:
        shutil.copytree(PROJECT / "models" / "review_sentiment", folder / model)
        path = folder / model / "pipeline.yaml"
        document = yaml.safe_load(path.read_text())
        document["training"] = {**document["training"], "deadline_hours": hours}
        path.write_text(yaml.safe_dump({**document, "name": model}))
        run_dag(f"collect_{model}")  # makes the DAGs known to the database

    yield made
    pause(TRAIN, "train_patient_model")


def passed(after: timedelta) -> list[dict[str, Any]]:
    """Do what the scheduler does with the deadlines that have passed by then, and then the triggerer.

    The scheduler's loop, of which this is one statement, and the triggerer's process do not run here; the
    rows, the callback that is queued and the trigger that calls it are Airflow's own.
    """
    import sqlalchemy as sa
    from airflow.models.deadline import Deadline
    from airflow.triggers.callback import CallbackTrigger
    from airflow.utils.session import create_session

    with create_session() as session:
        due = sa.select(Deadline).where(Deadline.deadline_time < datetime.now(UTC) + after, ~Deadline.missed)
        missed = list(session.scalars(due))
        for deadline in missed:
            deadline.handle_miss(session)
        kept = [(each.callback.trigger.classpath, each.callback.trigger.kwargs) for each in missed]
    assert {path for path, _ in kept} <= {"airflow.triggers.callback.CallbackTrigger"}
    return [asyncio.run(_last_event(CallbackTrigger(**kwargs))) for _, kwargs in kept]


async def _last_event(trigger: Any) -> dict[str, Any]:
    return [event.payload async for event in trigger.run()][-1]


def test_a_training_past_its_deadline_is_told_once_and_over_when_it_ends(
    in_airflow: MakeModel,
    user: "TestClient",
    run_dag: RunDag,
    run_queued: RunQueued,
    hook: WebServer,
) -> None:
    in_airflow(2)
    assert user.post(RUNS, json={"dag_run_id": RUN, "logical_date": None, "conf": {}}).status_code == 200

    assert passed(timedelta(hours=1.9)) == []
    assert run_dag("reconcile_ledger").state == "success"
    assert hook.posts == [], "it has ten minutes more"
    [event] = passed(timedelta(hours=2.1))
    assert event["state"] == "success", event
    assert passed(timedelta(hours=9)) == [], "a deadline is missed once"

    [late] = late_runs(MODEL)
    assert (late.dag_id, late.run_id) == (TRAIN, RUN)
    run_dag("reconcile_ledger")
    run_dag("reconcile_ledger")
    [(_, told)] = hook.posts
    [alert] = told["alerts"]
    assert (told["title"], alert["kind"]) == (f"[Perennial] {MODEL}: a training is late", "new")
    assert f"The run of {TRAIN} should have ended by {late.deadline:%Y-%m-%d %H:%M} UTC." in told["text"]
    assert alert["links"] == [f"http://airflow.example/prefix/dags/{TRAIN}/runs/{RUN}"]
    assert told["page"] == f"http://airflow.example/prefix/perennial/models/{MODEL}"

    assert run_queued(TRAIN).state == "success"

    assert late_runs() == []
    run_dag("reconcile_ledger")
    [_, (_, told)] = hook.posts
    assert told["title"] == f"[Perennial] {MODEL}: over: a training is late"


def test_a_training_that_ended_in_time_is_never_late_however_it_ended(
    in_airflow: MakeModel, user: "TestClient"
) -> None:
    in_airflow(2)
    for run, state in [("good", "success"), ("bad", "failed")]:
        user.post(RUNS, json={"dag_run_id": run, "logical_date": None, "conf": {}})
        assert user.patch(f"{RUNS}/{run}", json={"state": state}).status_code == 200

    called = [event["state"] for event in passed(timedelta(hours=9))]

    assert called == ["success", "success"], "Airflow calls for runs that were marked, too"
    assert late_runs() == []


def test_a_late_training_whose_run_is_deleted_is_forgotten(
    in_airflow: MakeModel, user: "TestClient", run_dag: RunDag
) -> None:
    in_airflow(2)
    user.post(RUNS, json={"dag_run_id": "another", "logical_date": None, "conf": {}})
    passed(timedelta(hours=3))
    assert [each.reason for each in records.open_troubles(MODEL)] == ["late"]

    assert user.delete(f"{RUNS}/another").status_code == 204
    run_dag("reconcile_ledger")

    assert late_runs() == []


def test_without_a_deadline_no_training_is_late(in_airflow: MakeModel, user: "TestClient") -> None:
    passed(timedelta(days=400))  # those of other tests
    in_airflow(None, "patient_model")
    runs = RUNS.replace(MODEL, "patient_model")
    assert (
        user.post(runs, json={"dag_run_id": "patient", "logical_date": None, "conf": {}}).status_code == 200
    )
    assert passed(timedelta(days=400)) == []
