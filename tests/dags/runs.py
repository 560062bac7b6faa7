"""What the tests of the DAGs say of a run."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.monitoring import retrain
from tasks.stores.database import engine, retrain_requests

if TYPE_CHECKING:
    from airflow.models import DagRun
    from airflow.sdk import DAG
    from fastapi.testclient import TestClient

Script = dict[str, list[dict[str, Any]]]
SetScript = Callable[[Script], None]
Dags = Callable[[], "dict[str, DAG]"]
RunDag = Callable[..., "DagRun"]

QUESTIONS = "/api/v2/dags/~/dagRuns/~/hitlDetails"


def states(run: "DagRun") -> dict[str, str]:
    """The state of each task of a run."""
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def pause(*dag_ids: str, paused: bool = True) -> None:
    """Switch DAGs off, or on, that Airflow knows."""
    import sqlalchemy as sa
    from airflow.models import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.execute(sa.update(DagModel).where(DagModel.dag_id.in_(dag_ids)).values(is_paused=paused))


def tries(run: "DagRun") -> dict[str, int]:
    """How often each task of a run was tried."""
    return {ti.task_id: ti.try_number for ti in run.get_task_instances()}


def xcom(run: "DagRun", task_id: str, key: str = "return_value") -> Any:
    """A value that a task of a run left."""
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return ti.xcom_pull(task_ids=task_id, key=key)


def asked(home: Path, verb: str) -> list[dict[str, Any]]:
    """The requests that the stand-in got for a verb, in order."""
    files = sorted(
        (home / "calls").glob(f"{verb}-*.json"), key=lambda file: int(file.stem.rpartition("-")[2])
    )
    return [json.loads(file.read_text()) for file in files]


def grant(train_run_id: str) -> None:
    """Put down a granted request, whatever was asked for before."""
    request = {
        "request_id": "1",
        "model": "review_sentiment",
        "open_model": "review_sentiment",
        "step_key": "k",
    }
    now = datetime.now(UTC)
    about = {
        "train_run_id": train_run_id,
        "reason": "drift",
        "granted_at": now,
        "expires_at": now + timedelta(days=1),
    }
    with engine().begin() as connection:
        connection.execute(retrain_requests.insert().values({**request, **about}))
    assert retrain.open_requests()


@contextmanager
def answering(user: "TestClient", said: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Answer the next question that is asked, as a person does on Airflow's page."""
    questions: list[dict[str, Any]] = []

    def answer() -> None:
        until = time.monotonic() + 60
        while not questions and time.monotonic() < until:
            found = user.get(QUESTIONS, params={"response_received": False}).json()["hitl_details"]
            questions.extend(each for each in found if each["task_instance"]["state"] == "awaiting_input")
            time.sleep(0.1)
        ti = questions[0]["task_instance"]
        place = f"/api/v2/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/-1"
        assert user.patch(f"{place}/hitlDetails", json=said).status_code == 200

    thread = threading.Thread(target=answer)
    thread.start()
    yield questions
    thread.join(timeout=60)
