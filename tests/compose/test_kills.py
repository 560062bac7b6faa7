"""A worker, TorchServe, PostgreSQL and Redis die during one
training while a client asks on: nothing accepted is lost.
"""

import json
import re
import time
from dataclasses import dataclass

import pytest

from demo.airflow import Airflow
from tests.compose.conftest import EXAMPLE
from tests.compose.more_models import HURRY, MODEL, ON_GPU
from tests.compose.stack import Stack
from tests.compose.witnesses import Client, Started, log, task, training, wait_until

IN_TRAINING = ON_GPU[0]
TRAIN, COLLECT = f"train_{IN_TRAINING}", f"collect_{MODEL}"
EPOCHS = 50
LONG = {"epochs": EPOCHS, "patience": EPOCHS}
AWAY_SECONDS = 10
LANDED = """
import json
from tasks.stores.lake import Lake
print(json.dumps(Lake().read("{model}__predictions", columns=["prediction_id"])["prediction_id"].to_pylist()))
"""

pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Survived:
    """What was seen of a training during which services were killed.

    Attributes:
        started: Containers that started for it.
        refused: Answers during each absence that were no prediction.
        served_before, served_after: What TorchServe served when it was killed, and when it was back.
    """

    run_id: str
    started: int
    followed: str
    tries: int
    logs: tuple[str, ...]
    refused: dict[str, list[tuple[int, str | None]]]
    served_before: tuple[str, str]
    served_after: tuple[str, str]
    client: Client


def served(stack: Stack) -> tuple[str, str]:
    """Version and MLflow run of the model that answers."""
    answer = stack.predict(MODEL, EXAMPLE).json()
    return str(answer["model_version"]), str(answer["run_id"])


def at_work(airflow: Airflow, run_id: str) -> int:
    """The number of the try that follows the training; 0 while none does."""
    found = task(airflow, TRAIN, run_id, "train")
    return int(found["try_number"]) if found["state"] == "running" else 0


def answers_again(client: Client) -> None:
    known = len(client.ids)
    wait_until(lambda: len(client.ids) > known + 5, "predictions", timeout_seconds=300)


@pytest.fixture(scope="module")
def survived(stack: Stack, champion: str) -> Survived:
    """A run of the training DAG through all of it."""
    airflow, refused = stack.airflow, {}
    served_before = served(stack)
    airflow.unpause(TRAIN)
    with Started(stack) as started, Client(stack, MODEL, EXAMPLE) as client:
        run_id = airflow.trigger(TRAIN, **LONG)
        followed = wait_until(lambda: training(stack, IN_TRAINING), "the training", timeout_seconds=600)
        stack.kill("worker-gpu")
        stack.start("worker-gpu")

        with stack.away("torchserve"):
            time.sleep(AWAY_SECONDS)
        answers_again(client)
        served_after = served(stack)
        refused["torchserve"] = [(one.status_code, one.headers.get("Retry-After")) for one in client.refused]

        wait_until(lambda: at_work(airflow, run_id) > 1, "the next try", timeout_seconds=300)
        with stack.away("postgres"), stack.away("redis"):
            time.sleep(AWAY_SECONDS)
        answers_again(client)
        known = len(refused["torchserve"])
        refused["postgres"] = [
            (one.status_code, one.headers.get("Retry-After")) for one in client.refused[known:]
        ]

        stack.wait_healthy()
        stack.engine.containers.get(followed).exec_run(["touch", HURRY])
        airflow.wait(TRAIN, run_id, stalled_seconds=600)
        tries = int(task(airflow, TRAIN, run_id, "train")["try_number"])
        logs = tuple(log(airflow, TRAIN, run_id, "train", number) for number in range(1, tries + 1))
        count = started.of(run_id, "train")
    return Survived(run_id, count, followed, tries, logs, refused, served_before, served_after, client)


def epochs(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bepoch (\d+):", text)]


def test_a_training_whose_worker_is_killed_goes_on_and_is_followed_by_the_next_try(
    survived: Survived,
) -> None:
    assert survived.tries >= 2
    assert survived.started == 1


def test_its_log_goes_on_in_the_log_of_the_next_try(survived: Survived) -> None:
    first, *later = (epochs(text) for text in survived.logs)
    assert first
    assert any(later), "the next try says nothing of the training"
    assert {*first, *(number for one in later for number in one)} == set(range(1, EPOCHS + 1))
    repeated = len(first) + sum(map(len, later)) - EPOCHS
    assert repeated < EPOCHS / 2, f"{repeated} epochs stand in the logs twice"


def test_its_candidate_is_the_one_that_the_killed_worker_began(survived: Survived, stack: Stack) -> None:
    assert stack.airflow.result(TRAIN, survived.run_id, "train")["parameters"]["epochs"] == str(EPOCHS)
    assert survived.run_id not in {step.labels["perennial.run"] for step in stack.steps()}, (
        "its containers are not removed"
    )


def test_whoever_asks_while_torchserve_is_away_is_refused_and_told_when_to_come_back(
    survived: Survived,
) -> None:
    answers = set(survived.refused["torchserve"])
    assert answers
    assert {code for code, _ in answers} <= {503, 504}
    assert all(after is not None and int(after) > 0 for code, after in answers if code == 503)
    assert not survived.client.unreachable


def test_whoever_asks_while_postgresql_is_away_is_answered(survived: Survived) -> None:
    assert survived.refused["postgres"] == []


def test_torchserve_comes_back_with_the_version_that_it_served(survived: Survived) -> None:
    assert survived.served_after == survived.served_before


def test_every_prediction_that_was_answered_is_in_the_lake_once(survived: Survived, stack: Stack) -> None:
    airflow = stack.airflow
    airflow.unpause(COLLECT)
    airflow.wait(COLLECT, airflow.trigger(COLLECT), stalled_seconds=300)
    landed = json.loads(stack.in_step(LANDED.format(model=MODEL)))
    assert len(survived.client.ids) > 50
    assert set(survived.client.ids) <= set(landed)
    assert len(landed) == len(set(landed))
