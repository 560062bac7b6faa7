"""A shipped DAG whose steps run in containers: the same file, the same results, and nothing left behind."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plugins.attempts import folder_name
from plugins.runners.step import step_name
from tasks.settings import settings
from tasks.verbs import VERBS
from tests.containers.following import step_of
from tests.dags.runs import Dags, RunDag, states, tries, xcom

if TYPE_CHECKING:
    import docker
    from airflow.models import DagRun

COLLECT = "collect_review_sentiment"
ONCE = datetime(2026, 1, 3, tzinfo=UTC)


@pytest.fixture
def shared(home: Path, store: Path) -> Path:
    """The store of the steps; named after `home`, so that its settings are the last word."""
    settings.cache_clear()
    return store / "store"


def script(shared: Path, *actions: list[Any]) -> None:
    """What the step of the run of `ONCE` does."""
    folder = shared / "runs" / COLLECT / folder_name(f"manual__{ONCE.isoformat()}") / "collect"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.json").write_text(json.dumps(actions))


def shown(run: "DagRun") -> dict[str, Any]:
    """The fields of the task `collect` as Airflow's pages show them."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields

    [ti] = run.get_task_instances()
    return RenderedTaskInstanceFields.get_templated_fields(ti)


def there(engine: "docker.DockerClient") -> list[Any]:
    return engine.containers.list(
        all=True, filters={"label": f"perennial.installation={settings().installation}"}
    )


def test_a_dag_runs_its_step_in_a_container_without_knowing_it(
    shared: Path, run_dag: RunDag, engine: "docker.DockerClient", capfd: pytest.CaptureFixture[str]
) -> None:
    script(shared, ["say", "from the container"])

    run = run_dag(COLLECT, at=ONCE)

    assert run.state == "success"
    assert xcom(run, "collect")["prediction_rows"] == 7
    assert "from the container" in capfd.readouterr().out
    assert there(engine) == []


OF_STAGES = {"enter", "open_stage", "judge_stage", "plan_cloud_run", "judge_cloud_run", "close_cloud_run"}
"""Steps of releases by environments, by stages and to Cloud Run, of which no shipped model's specification
says anything."""


def test_airflow_sees_a_docker_operator_and_shows_its_fields(
    shared: Path, run_dag: RunDag, dags: Dags, step_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.docker.operators.docker import DockerOperator

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-to-be-seen")
    script(shared, ["say", "from the container"])

    tasks = [task for dag in dags().values() for task in dag.tasks if hasattr(task, "verb")]
    run = run_dag(COLLECT, at=ONCE)

    assert {task.verb for task in tasks} == set(VERBS) - OF_STAGES
    assert all(isinstance(task, DockerOperator) for task in tasks)
    fields = shown(run)
    work = shared / "runs" / COLLECT / folder_name(run.run_id) / "collect"
    assert fields["image"] == step_image
    assert fields["docker_conn_id"] == "docker_default"
    assert fields["container_name"] == step_name(f"{COLLECT}/{run.run_id}/collect")
    assert fields["command"][3:6] == ["collect", "--request", f"{work}/request.json"]
    assert (fields["cpus"], fields["device_requests"]) == (2.0, [])
    assert fields["environment"]["PERENNIAL_STORE_URL"] == str(shared)
    assert [mount["Target"] for mount in fields["mounts"]] == [str(shared.parent)]
    assert fields["labels"]["perennial.task"] == "collect"
    assert "never-to-be-seen" not in str(fields)


@pytest.mark.parametrize(
    ("wish", "asked"), [("required", [["gpu"]]), ("preferred", [["gpu"]]), ("none", None)]
)
def test_a_model_s_wish_for_a_gpu_is_a_device_request_of_the_two_tasks_that_care(
    shared: Path, dags: Dags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str, asked: Any
) -> None:
    models = tmp_path / "models"
    shutil.copytree(settings().project / "models" / "review_sentiment", models / "review_sentiment")
    spec = models / "review_sentiment" / "pipeline.yaml"
    spec.write_text(re.sub(r"gpus: \w+", f"gpus: {wish}", spec.read_text()))
    monkeypatch.setattr("plugins.pipeline.folder_of", lambda _file: models)

    steps = [task for task in dags()["train_review_sentiment"].tasks if task.task_id != "report_quarantined"]

    requests = {task.task_id: [one["Capabilities"] for one in task.device_requests] for task in steps}
    wanting = {task_id for task_id, capabilities in requests.items() if capabilities}
    assert wanting == ({"preflight", "train"} if asked else set())
    assert requests["train"] == ([asked] if asked else [])


def test_a_field_that_a_cluster_policy_sets_reaches_the_container(
    shared: Path, dags: Dags, engine: "docker.DockerClient", capfd: pytest.CaptureFixture[str]
) -> None:
    script(shared, ["tell"])
    dag = dags()[COLLECT]
    task = dag.get_task("collect")
    task.environment = {"OF_THE_POLICY": "{{ dag.dag_id }}"}

    assert dag.test(logical_date=ONCE, run_after=ONCE).state == "success"

    assert f'"OF_THE_POLICY": "{COLLECT}"' in capfd.readouterr().out
    assert there(engine) == []


def test_a_refusal_in_a_container_is_final(
    shared: Path, run_dag: RunDag, engine: "docker.DockerClient"
) -> None:
    script(shared, ["reject"])

    run = run_dag(COLLECT, at=ONCE)

    assert (states(run), tries(run)) == ({"collect": "failed"}, {"collect": 1})
    assert there(engine) == []


def test_the_janitor_removes_what_no_task_comes_back_for(
    shared: Path, dags: Dags, run_dag: RunDag, engine: "docker.DockerClient"
) -> None:
    from plugins.runners.docker.container import container_of

    body = container_of(step_of(shared / "runs" / "left"), settings(), gpus=False).body()
    left = engine.api.create_container_from_config(body, name="perennial-left-behind-in-a-test")
    assert "tidy_docker" in dags()

    run = run_dag("tidy_docker")

    assert run.state == "success"
    [said] = xcom(run, "remove_left_behind")
    assert said == (
        f"Removed {left['Id'][:12]}, the step of collect_m, run run, task collect: "
        "Airflow has no such task any more."
    )
    assert there(engine) == []


def test_child_processes_need_no_janitor(dags: Dags, home: Path) -> None:
    assert not [dag_id for dag_id in dags() if dag_id.startswith("tidy")]
