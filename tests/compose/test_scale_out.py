"""The platform with more models, trained beside each other on
two GPU workers: limits, digests, waiting, clearing, ending.

The tests follow each other; the last one ends the platform in the middle of a training.
"""

import json
import time
from collections.abc import Iterator

import pytest

from demo.airflow import Airflow
from demo.report import Report
from tests.compose import more_models
from tests.compose.conftest import MODEL, left_of
from tests.compose.more_models import GREEDY, GREEDY_MIB
from tests.compose.stack import Stack
from tests.compose.witnesses import log, task, training, wait_until

FIRST, SECOND, THIRD = more_models.ON_GPU
LONG = {"epochs": 50, "patience": 50, "batch_size": 16}
TWO_WORKERS = {"GPU_WORKERS": "2", "GPU_WORKER_SLOTS": "1", "GPU_SLOTS": "2"}
NOWHERE = f"sha256:{'0' * 64}"
ON_WORKERS = """
import json, os
from celery import Celery
inspect = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"]).control.inspect(timeout=3)
print(json.dumps({"active": inspect.active(), "reserved": inspect.reserved()}))
"""

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def images(stack: Stack, story: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The platform's images, as `make images` names them,
    with more models: all of them learn from the reviews.
    """
    made = more_models.build(tmp_path_factory.mktemp("images"))
    yield made
    stack.make("down")  # or the engine keeps images that are in use
    for name in ("PERENNIAL_AIRFLOW_IMAGE", "PERENNIAL_ML_IMAGE"):
        stack.engine.images.remove(made[name], force=True)


@pytest.fixture(scope="module")
def scaled(stack: Stack, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The platform with these images and two GPU workers."""
    file = tmp_path_factory.mktemp("scaled") / "images.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in images.items()), encoding="utf-8")
    stack.set(**TWO_WORKERS)
    up = stack.make("up", IMAGES_FILE=str(file))
    assert up.returncode == 0, up.stdout[-4000:]
    unpause(stack.airflow, *more_models.ON_GPU, GREEDY)
    return stack


def unpause(airflow: Airflow, *models: str) -> None:
    airflow.wait_for_dags([f"train_{model}" for model in models], timeout_seconds=180)
    for model in models:
        airflow.unpause(f"train_{model}")


@pytest.fixture(scope="module")
def runs(scaled: Stack) -> dict[str, str]:
    """The run of each model. The trainings of the first two are at work; the third waits."""
    airflow = scaled.airflow
    started = {model: airflow.trigger(f"train_{model}", **LONG) for model in (GREEDY, FIRST, SECOND)}
    for model in (FIRST, SECOND):
        wait_for_training(scaled, model, started[model])
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


# --- the image ----------------------------------------------------------------------------------------------


def test_a_training_in_an_image_that_the_engine_does_not_hold_is_refused(stack: Stack, story: Report) -> None:
    knowing = ("engine", "worker-default", "worker-gpu")
    image = stack.setting("STEP_IMAGE")
    stack.set(STEP_IMAGE=NOWHERE)
    stack.compose("up", "--detach", "--no-deps", *knowing)
    stack.wait_healthy(*knowing)
    stack.set(STEP_IMAGE=image)
    airflow, dag_id = stack.airflow, f"train_{MODEL}"
    unpause(airflow, MODEL)
    run_id = airflow.trigger(dag_id)
    wait_until(lambda: airflow.run(dag_id, run_id)["state"] == "failed", "the refusal", timeout_seconds=300)
    assert task(airflow, dag_id, run_id, "count")["try_number"] == 1, "it would be refused again"
    said = log(airflow, dag_id, run_id, "count", 1)
    assert (
        f"has no image {NOWHERE}, which PERENNIAL_STEP_IMAGE names. Build it there with `make images`" in said
    )


# --- beside each other --------------------------------------------------------------------------------------


def test_two_trainings_run_on_two_workers_and_say_why_not_on_a_gpu(
    scaled: Stack, runs: dict[str, str]
) -> None:
    airflow = scaled.airflow
    trainings = [task(airflow, f"train_{model}", runs[model], "train") for model in (FIRST, SECOND)]
    assert [one["state"] for one in trainings] == ["running", "running"]
    assert len({one["hostname"] for one in trainings}) == 2
    for model in (FIRST, SECOND):
        found = airflow.result(f"train_{model}", runs[model], "preflight")
        assert found["device"] == "cpu"
        assert "could not select device driver" in found["why"]


def test_a_third_waits_for_a_gpu_without_holding_a_workers_slot(scaled: Stack, runs: dict[str, str]) -> None:
    airflow = scaled.airflow
    wait_until(
        lambda: state(airflow, runs, THIRD, "preflight") == "scheduled", "the third", timeout_seconds=30
    )
    time.sleep(5)
    assert state(airflow, runs, THIRD, "preflight") == "scheduled"
    on_workers = json.dumps(json.loads(scaled.python(ON_WORKERS)))
    assert on_workers.count(f"train_{FIRST}") > 0
    assert f"train_{THIRD}" not in on_workers
    assert [state(airflow, runs, model) for model in (FIRST, SECOND)] == ["running", "running"]


def test_a_training_that_takes_more_memory_than_its_limit_is_told_which_limit_that_is(
    scaled: Stack, runs: dict[str, str]
) -> None:
    airflow, dag_id = scaled.airflow, f"train_{GREEDY}"
    wait_until(
        lambda: state(airflow, runs, GREEDY) == "failed",
        "the end of the greedy training",
        timeout_seconds=300,
    )
    assert task(airflow, dag_id, runs[GREEDY], "train")["try_number"] == 1, "it would end the same way again"
    said = log(airflow, dag_id, runs[GREEDY], "train", 1)
    assert "taking more and more" in said
    assert "needed more memory than its limit" in said
    assert f"The limit is {GREEDY_MIB} MiB (resources.memory_mib in" in said


# --- ended from outside -------------------------------------------------------------------------------------


def test_a_training_that_is_cleared_is_killed_and_begun_again(scaled: Stack, runs: dict[str, str]) -> None:
    airflow, killed = scaled.airflow, training(scaled, FIRST)
    assert killed
    body = {"dry_run": False, "dag_run_id": runs[FIRST], "task_ids": ["train"], "only_failed": False}
    airflow.call("POST", f"/dags/train_{FIRST}/clearTaskInstances", json=body)
    wait_until(lambda: gone(scaled, killed), "the end of the cleared training", timeout_seconds=180)
    wait_until(
        lambda: state(airflow, runs, THIRD, "preflight") != "scheduled",
        "the third's turn",
        timeout_seconds=180,
    )


def test_a_run_that_is_marked_failed_ends_its_training_for_good(scaled: Stack, runs: dict[str, str]) -> None:
    airflow, killed = scaled.airflow, training(scaled, SECOND)
    assert killed
    airflow.call("PATCH", f"/dags/train_{SECOND}/dagRuns/{runs[SECOND]}", json={"state": "failed"})
    wait_until(lambda: gone(scaled, killed), "the end of the failed run's training", timeout_seconds=180)
    assert state(airflow, runs, SECOND) == "failed"
    assert not [step for step in scaled.steps() if step.labels["perennial.run"] == runs[SECOND]]


def test_down_in_the_middle_of_a_training_leaves_nothing(scaled: Stack, runs: dict[str, str]) -> None:
    wait_for_training(scaled, FIRST, runs[FIRST])
    down = scaled.make("down")
    assert down.returncode == 0, down.stdout
    assert not left_of(scaled.engine, scaled.project)
