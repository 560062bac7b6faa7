"""The DAGs come from a Git repository: each run has the
specification of the commit that it began with, whatever came after.

A real repository is read by Airflow's own GitDagBundle; a run is triggered through the REST API, and parsed
as a worker does.
"""

import json
import shutil
import subprocess
from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import yaml
from sqlalchemy import select

from plugins import attempts
from plugins.models import folder_of
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

BUNDLE, MODEL = "code", "pinned"


@dataclass
class Repository:
    """A team's repository with dags/ and models/, and Airflow's eyes on it."""

    folder: Path

    @property
    def pipeline(self) -> Path:
        return self.folder / "models" / MODEL / "pipeline.yaml"

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=A Developer", "-c", "user.email=developer@example.org"]
        command = ["git", "-C", str(self.folder), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def change(self, **fields: Any) -> None:
        document = yaml.safe_load(self.pipeline.read_text())
        for field, value in fields.items():
            document[field] = document[field] | value if isinstance(value, dict) else value
        self.pipeline.write_text(yaml.safe_dump(document))

    def publish(self) -> str:
        """Commit everything, let Airflow see it, and return the commit."""
        from airflow.cli.commands.dag_command import dag_reserialize

        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        dag_reserialize(Namespace(bundle_name=[BUNDLE]))
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(airflow_database: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The repository of a team with one model; Airflow is told of it as docs/code-versions.md says."""
    folder = home / "repository"
    shutil.copytree(PROJECT / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "models" / "review_sentiment", folder / "models" / MODEL)
    found = Repository(folder)
    found.git("init", "--quiet", "--initial-branch=main")
    found.change(name=MODEL, data={"table": "pinned_rows"})
    origin = {"repo_url": f"file://{folder}", "tracking_ref": "main", "subdir": "dags"}
    bundle = {"name": BUNDLE, "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": origin}
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(home / "bundles"))
    return found


def trigger(user: "TestClient", dag_id: str) -> str:
    """Start a run as the Trigger button does; returns its id."""
    answer = user.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": {}})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["dag_run_id"])


def as_a_worker_sees_it(dag_id: str, run_id: str, task_id: str) -> Any:
    """The task instance that a worker makes of what the
    scheduler sends it: the run's commit, checked out and parsed.
    """
    from airflow.executors.workloads import ExecuteTask
    from airflow.models import TaskInstance
    from airflow.sdk.execution_time.comms import StartupDetails
    from airflow.sdk.execution_time.task_runner import parse
    from airflow.utils.session import create_session

    with create_session() as session:
        wanted = TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
        work = ExecuteTask.make(session.scalars(select(TaskInstance).where(*wanted)).one())
    told = {"ti": work.ti, "dag_rel_path": str(work.dag_rel_path), "bundle_info": work.bundle_info}
    context = SimpleNamespace(max_tries=0, task_reschedule_count=0)
    details = StartupDetails.model_construct(
        **told, ti_context=context, start_date=datetime.now(UTC), sentry_integration=""
    )
    return parse(details, structlog.get_logger())


def test_a_run_keeps_the_specification_of_its_commit_when_the_next_one_comes(
    repository: Repository, user: "TestClient"
) -> None:
    dag_id = f"train_{MODEL}"
    repository.change(description="The first commit.", training={"timeout_seconds": 111})
    first = repository.publish()
    old_run = trigger(user, dag_id)
    repository.change(description="The second commit.", training={"timeout_seconds": 222})
    second = repository.publish()
    new_run = trigger(user, dag_id)

    seen = {run: as_a_worker_sees_it(dag_id, run, "train") for run in (old_run, new_run)}

    for run, commit, seconds in ((old_run, first, 111), (new_run, second, 222)):
        spec: PipelineSpec = seen[run].task.constants["spec"]
        assert (attempts.context_of(seen[run]).code_commit, spec.training.timeout_seconds) == (
            commit,
            seconds,
        )
        assert spec.description == f"The {'first' if run == old_run else 'second'} commit."


def test_a_model_that_a_commit_breaks_stops_no_run_of_the_commit_before(
    repository: Repository, user: "TestClient"
) -> None:
    dag_id = f"train_{MODEL}"
    commit = repository.publish()
    run = trigger(user, dag_id)
    repository.change(gate={"margin": -1})
    repository.publish()

    errors = user.get("/api/v2/importErrors").json()["import_errors"]
    assert any("gate.margin" in error["stack_trace"] for error in errors if error["bundle_name"] == BUNDLE)
    assert attempts.context_of(as_a_worker_sees_it(dag_id, run, "train")).code_commit == commit


def test_dags_without_models_beside_them_say_what_is_missing(
    repository: Repository, user: "TestClient"
) -> None:
    repository.pipeline.parent.parent.rename(repository.folder / "elsewhere")
    repository.publish()

    errors = user.get("/api/v2/importErrors").json()["import_errors"]
    [error] = [error["stack_trace"] for error in errors if error["bundle_name"] == BUNDLE]
    assert "Deliver models/ beside dags/" in error


def test_a_models_folder_that_is_set_is_that_of_every_commit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder_of(f"{home}/commit/dags/train.py") == home.resolve() / "commit" / "models"
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "mine"))
    settings.cache_clear()
    assert folder_of(f"{home}/commit/dags/train.py") == home / "mine"
