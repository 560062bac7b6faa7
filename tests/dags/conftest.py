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
    from airflow.dag_processing.dagbag import DagBag
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


@pytest.fixture(scope="session")
def shipped_dags(airflow_database: None) -> "DagBag":
    """What the shipped DAG files make of the shipped models, parsed once: to be looked at."""
    from airflow.dag_processing.dagbag import DagBag

    settings.cache_clear()
    assert settings().models == PROJECT / "models", "the DAGs of another models folder"
    return DagBag(str(PROJECT / "dags"))


@pytest.fixture
def run_dag(airflow_database: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunDag:
    """Runs a shipped DAG from its start to its end, without a scheduler.

    `at` says when, and so the run's id. Of a models folder of the test's own, `alone` brings into Airflow's
    database what the DAG's own file makes, and not what the others make.
    """
    from airflow.dag_processing import dagbag

    sleep = time.sleep  # `DAG.test` looks for the next task once a second
    parse = dagbag.BundleDagBag

    def run(
        dag_id: str, conf: dict[str, Any] | None = None, at: datetime | None = None, *, alone: bool = False
    ) -> "DagRun":
        files = [file for file in (PROJECT / "dags").glob("*.py") if dag_id.startswith(f"{file.stem}_")]
        file = str(max(files, key=lambda file: len(file.stem)))
        dag = dagbag.DagBag(file).dags[dag_id]
        when = {"logical_date": at, "run_after": at} if at else {}
        with monkeypatch.context() as patched:
            if _in_database == [made_by := _what_makes_the_dags()]:
                patched.setattr(dagbag, "BundleDagBag", lambda **_: None)
                patched.setattr(dagbag, "sync_bag_to_db", lambda *_: None)
            elif alone:
                patched.setattr(dagbag, "BundleDagBag", lambda **how: parse(**how | {"dag_folder": file}))
            patched.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))
            done = dag.test(run_conf=conf, **when)
        _in_database[:] = [None if alone else made_by]
        return done

    return run


# `DAG.test` parses every file and writes every DAG into the database, each time: more than the run takes.
_in_database: list[tuple[object, ...] | None] = []


def _what_makes_the_dags() -> tuple[object, ...]:
    """What the DAGs in the database were made by."""
    from plugins.models import fingerprint

    models = settings().models
    return (settings().runner, str(settings().suites), str(models), fingerprint(models))


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
