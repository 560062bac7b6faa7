"""Models that are trained beside each other on two GPU workers: waiting, clearing, ending.

The tests follow each other; the last one ends the platform in the middle of a training.
"""

import json
import time

import pytest

from demo.airflow import Airflow
from demo.report import Report
from tests.compose import more_models
from tests.compose.conftest import left_of
from tests.compose.stack import Stack
from tests.compose.witnesses import log, task, training, wait_until

FIRST, SECOND, THIRD = more_models.ON_GPU
LONG = {"epochs": 50, "patience": 50}
ON_WORKERS = """
import json, os
from celery import Celery
inspect = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"]).control.inspect(timeout=3)
print(json.dumps({"active": inspect.active(), "reserved": inspect.reserved()}))
"""

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def runs(stack: Stack, story: Report) -> dict[str, str]:
    """The run of each model. The trainings of the first two are at work; the third waits."""
    airflow = stack.airflow
    for model in more_models.ON_GPU:
        airflow.unpause(f"train_{model}")
    started = {model: airflow.trigger(f"train_{model}", **LONG) for model in (FIRST, SECOND)}
    for model in (FIRST, SECOND):
        wait_for_training(stack, model, started[model])
    return started | {THIRD: airflow.trigger(f"train_{THIRD}", **LONG)}


def wait_for_training(stack: Stack, model: str, run_id: str) -> str:
    """The id of the container in which the model is being trained, as soon as it has learnt for a while."""
    airflow, dag_id = stack.airflow, f"train_{model}"

    def look() -> str | None:
        if airflow.run(dag_id, run_id)["state"] == "failed":
            raise AssertionError(log(airflow, dag_id, run_id, "train", 1))
        return training(stack, model)

    return wait_until(look, f"the training of {model}", timeout_seconds=600)


def state(airflow: Airflow, runs: dict[str, str], model: str, task_id: str = "train") -> str:
    return str(task(airflow, f"train_{model}", runs[model], task_id)["state"])


def gone(stack: Stack, container: str) -> bool:
    return container not in {step.id for step in stack.steps()}


# --- beside each other --------------------------------------------------------------------------------------


def test_two_trainings_run_on_two_workers_and_say_why_on_no_gpu(stack: Stack, runs: dict[str, str]) -> None:
    airflow = stack.airflow
    trainings = [task(airflow, f"train_{model}", runs[model], "train") for model in (FIRST, SECOND)]
    assert [one["state"] for one in trainings] == ["running", "running"]
    assert len({one["hostname"] for one in trainings}) == 2
    for model in (FIRST, SECOND):
        found = airflow.result(f"train_{model}", runs[model], "preflight")
        assert found["device"] == "cpu"
        assert "could not select device driver" in found["why"]


def test_a_third_waits_for_a_gpu_without_holding_a_workers_slot(stack: Stack, runs: dict[str, str]) -> None:
    airflow = stack.airflow
    wait_until(
        lambda: state(airflow, runs, THIRD, "preflight") == "scheduled", "the third", timeout_seconds=30
    )
    time.sleep(5)
    assert state(airflow, runs, THIRD, "preflight") == "scheduled"
    on_workers = json.dumps(json.loads(stack.python(ON_WORKERS)))
    assert on_workers.count(f"train_{FIRST}") > 0
    assert f"train_{THIRD}" not in on_workers
    assert [state(airflow, runs, model) for model in (FIRST, SECOND)] == ["running", "running"]


# --- ended from outside -------------------------------------------------------------------------------------


def test_a_training_that_is_cleared_is_killed_and_begun_again(stack: Stack, runs: dict[str, str]) -> None:
    airflow, killed = stack.airflow, training(stack, FIRST)
    assert killed
    body = {"dry_run": False, "dag_run_id": runs[FIRST], "task_ids": ["train"], "only_failed": False}
    airflow.call("POST", f"/dags/train_{FIRST}/clearTaskInstances", json=body)
    wait_until(lambda: gone(stack, killed), "the end of the cleared training", timeout_seconds=180)
    wait_until(
        lambda: state(airflow, runs, THIRD, "preflight") != "scheduled",
        "the third's turn",
        timeout_seconds=180,
    )


def test_a_run_that_is_marked_failed_ends_its_training_for_good(stack: Stack, runs: dict[str, str]) -> None:
    airflow, killed = stack.airflow, training(stack, SECOND)
    assert killed
    airflow.call("PATCH", f"/dags/train_{SECOND}/dagRuns/{runs[SECOND]}", json={"state": "failed"})
    wait_until(lambda: gone(stack, killed), "the end of the failed run's training", timeout_seconds=180)
    assert state(airflow, runs, SECOND) == "failed"
    assert not [step for step in stack.steps() if step.labels["perennial.run"] == runs[SECOND]]


def test_down_in_the_middle_of_a_training_leaves_nothing(stack: Stack, runs: dict[str, str]) -> None:
    wait_for_training(stack, FIRST, runs[FIRST])
    down = stack.make("down")
    assert down.returncode == 0, down.stdout
    assert not left_of(stack.engine, stack.project)
