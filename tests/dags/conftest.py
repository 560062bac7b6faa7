"""An Airflow of the tests' own: its database is made once
a session, and no setting of the surroundings reaches it.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.settings import PROJECT, settings
from tests.airflow_home import AIRFLOW_HOME
from tests.containers.fixtures import engine, step_image, store
from tests.dags.runs import Dags, RunDag, Script

if TYPE_CHECKING:
    from airflow.models import DagRun
    from airflow.sdk import DAG
    from fastapi.testclient import TestClient

__all__ = ["engine", "step_image", "store"]


@pytest.fixture(scope="session")
def airflow_database() -> Iterator[None]:
    """Airflow's tables."""
    from airflow.utils.db import initdb

    initdb()
    yield
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture
def heavy(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], None]:
    """Puts the stand-in in the place of the heavy environments; what it gets is its script."""
    python = home / "envs" / "ml" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!{sys.executable}\n{(PROJECT / 'tests' / 'dags' / 'heavy.py').read_text()}")
    python.chmod(0o755)
    monkeypatch.setenv("PERENNIAL_ENVIRONMENTS", str(home / "envs"))
    settings.cache_clear()
    return lambda script: (home / "script.json").write_text(json.dumps(script)) and None


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries as often as ever, with hardly a pause; one that grows is a second long at least."""
    from plugins.operators import RETRIES

    monkeypatch.setitem(RETRIES, "retry_delay", timedelta(milliseconds=50))
    monkeypatch.setitem(RETRIES, "retry_exponential_backoff", 0)


@pytest.fixture
def dags(airflow_database: None, home: Path) -> Dags:
    """Parses the shipped DAG files anew, as the DAG processor does."""
    from airflow.dag_processing.dagbag import DagBag

    def parse() -> "dict[str, DAG]":
        return dict(DagBag(str(PROJECT / "dags")).dags)

    return parse


@pytest.fixture
def run_dag(airflow_database: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunDag:
    """Runs a shipped DAG from its start to its end, without a scheduler; `at`
    says when, and so the run's id.
    """
    from airflow.dag_processing import dagbag

    sleep = time.sleep  # `DAG.test` looks for the next task once a second

    def run(dag_id: str, conf: dict[str, Any] | None = None, at: datetime | None = None) -> "DagRun":
        files = [file for file in (PROJECT / "dags").glob("*.py") if dag_id.startswith(f"{file.stem}_")]
        dag = dagbag.DagBag(str(max(files, key=lambda file: len(file.stem)))).dags[dag_id]
        when = {"logical_date": at, "run_after": at} if at else {}
        with monkeypatch.context() as patched:
            if (shipped := _what_makes_the_dags()) and _in_database == [shipped]:
                patched.setattr(dagbag, "BundleDagBag", lambda **_: None)
                patched.setattr(dagbag, "sync_bag_to_db", lambda *_: None)
            patched.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))
            done = dag.test(run_conf=conf, **when)
        _in_database[:] = [shipped]
        return done

    return run


# `DAG.test` parses every file and writes every DAG into the database, each time: more than the run takes.
_in_database: list[tuple[str, ...] | None] = []


def _what_makes_the_dags() -> tuple[str, ...] | None:
    """What the shipped DAGs in the database were made by; None where models may change meanwhile."""
    if settings().models != PROJECT / "models":
        return None
    return (settings().runner, str(settings().suites))


@pytest.fixture
def schedule(airflow_database: None) -> Callable[[], None]:
    """Lets Airflow's scheduler look once which runs are due, of what is in the database."""
    import sqlalchemy as sa
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models import DagModel
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import prohibit_commit

    runner = SchedulerJobRunner(Job())

    def look() -> None:
        with create_session() as session, prohibit_commit(session) as guard:
            for dag in session.scalars(sa.select(DagModel)):
                runner._set_exceeds_max_active_runs(dag_model=dag, session=session)
            session.flush()
            runner._create_dagruns_for_dags(guard, session)

    return look


@pytest.fixture
def run_queued(run_dag: RunDag, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], "DagRun"]:
    """Runs the one queued run of a DAG, which the scheduler made, from its start to its end."""
    import sqlalchemy as sa
    from airflow.models import DagRun, dagrun
    from airflow.models.deadline_alert import DeadlineAlert
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.settings import Session

    def taken(*, dag: Any, session: Any, **_made: Any) -> DagRun:
        if dag.deadline:  # `DAG.test` has the deadlines themselves where the scheduler has their ids
            known = sa.select(DeadlineAlert.id).join(SerializedDagModel)
            dag.deadline = list(session.scalars(known.where(SerializedDagModel.dag_id == dag.dag_id)))
        run = session.scalars(sa.select(DagRun).filter_by(dag_id=dag.dag_id, state="queued")).one()
        run.dag, run.state, run.start_date = dag, "running", datetime.now(UTC)
        session.commit()
        return run

    def run(dag_id: str) -> DagRun:
        with monkeypatch.context() as patched:
            patched.setattr(dagrun, "get_or_create_dagrun", taken)
            done = run_dag(dag_id)
        Session().commit()
        return done

    return run


@pytest.fixture(scope="session")
def stranger(airflow_database: None) -> "Iterator[TestClient]":
    """A browser that nobody is logged in with."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with TestClient(create_app(), base_url="http://airflow.example/prefix", follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="session")
def token(stranger: "TestClient") -> str:
    answer = stranger.post("/auth/token", json={"username": "admin", "password": "secret"})
    return str(answer.json()["access_token"])


@pytest.fixture
def user(stranger: "TestClient", token: str) -> "Iterator[TestClient]":
    """A browser that somebody is logged in with."""
    stranger.headers["Authorization"] = f"Bearer {token}"
    yield stranger
    del stranger.headers["Authorization"]
