"""A shipped DAG whose steps run in containers: the same file, the same results, and nothing left behind."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plugins.attempts import folder_name
from tasks.settings import settings
from tests.containers.following import step_of
from tests.dags.runs import Dags, RunDag, states, tries, xcom

if TYPE_CHECKING:
    import docker

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
