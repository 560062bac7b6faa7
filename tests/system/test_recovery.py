"""Each process is killed once in the middle of the work:
the loop carries on by itself, and nothing accepted is lost.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.conftest import (
    example_files,
    input_example,
    wait_for_rows,
    wait_for_success,
    wait_until,
)
from tests.system.loop import MULTICLASS, Loop

MODEL, TABLE = "review_sentiment", "reviews"
SERVED = MULTICLASS
TRAIN, COLLECT = f"train_{MODEL}", f"collect_{SERVED}"
ROWS = 4_000

Land = Callable[[str, Path], str]


class Client(threading.Thread):
    """Sends one digit after the other to the model that serves,
    and keeps the id of every prediction that it was given.
    """

    def __init__(self, gateway: str) -> None:
        super().__init__(daemon=True)
        self.url = f"{gateway}/v1/models/{SERVED}/predict"
        self.ids: list[str] = []
        self.refused: list[requests.Response] = []
        self.unreachable = 0
        self._ended = threading.Event()

    def run(self) -> None:
        body = {"instances": [input_example(SERVED)]}
        while not self._ended.wait(0.1):
            try:
                answer = requests.post(self.url, json=body, timeout=30)
            except requests.RequestException:
                self.unreachable += 1
                continue
            if answer.ok:
                self.ids.append(answer.json()["predictions"][0]["prediction_id"])
            else:
                self.refused.append(answer)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def training_process(platform: Platform, *, not_: psutil.Process | None = None) -> psutil.Process | None:
    """The model's own training program, which the step started; `not_` is one that is known already."""
    for process in psutil.Process(platform.guardian).children(recursive=True):
        try:
            if process != not_ and any(part.endswith("train.py") for part in process.cmdline()[:3]):
                return process
        except psutil.NoSuchProcess:
            continue
    return None


@pytest.mark.platform
@pytest.mark.timeout(1500)
def test_training_scheduler_torchserve_and_gateway_die_during_a_run_and_nothing_accepted_is_lost(
    inside: Platform, airflow: Airflow, land: Land, loop: Loop, tmp_path: Path
) -> None:
    wait_for_success(airflow, f"train_{SERVED}", loop.first[SERVED])
    for file in example_files(MODEL, tmp_path, rows=ROWS, batches=1):
        land(TABLE, file)
    wait_for_rows(TABLE, ROWS * 0.99, timeout_seconds=300)
    client = Client(inside.addresses.gateway)
    client.start()
    run_id = airflow.trigger(TRAIN, reason="to be killed on the way")

    training = wait_until(
        lambda: training_process(inside), "the training program to start", timeout_seconds=400
    )
    training.kill()
    wait_until(
        lambda: training_process(inside, not_=training), "the next try of the training", timeout_seconds=240
    )
    inside.kill("airflow-scheduler")
    inside.kill("torchserve")
    time.sleep(5)
    inside.kill("gateway")

    wait_for_success(airflow, TRAIN, run_id)
    tries = {task["task_id"]: task["try_number"] for task in airflow.tasks(TRAIN, run_id)}
    assert tries["train"] >= 2
    assert (
        requests.get(f"{inside.addresses.gateway}/v1/models/{MODEL}", timeout=10).json()["run_id"]
        == airflow.result(TRAIN, run_id, "train")["run_id"]
    )
    answered = len(client.ids)
    wait_until(lambda: len(client.ids) > answered + 20, "the gateway to answer again", timeout_seconds=60)
    client.stop()
    assert {answer.status_code for answer in client.refused} <= {503, 504}
    assert all("Retry-After" in answer.headers for answer in client.refused if answer.status_code == 503)
    assert client.unreachable < len(client.ids)
    wait_for_success(airflow, COLLECT, airflow.trigger(COLLECT))
    from tasks.stores.lake import Lake

    landed = Lake().read(f"{SERVED}__predictions", columns=["prediction_id"])["prediction_id"].to_pylist()
    assert set(client.ids) <= set(landed)
    assert len(landed) == len(set(landed))
