"""Each process is killed once in the middle of the work: the loop carries on by itself, and nothing accepted is lost."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.conftest import example_files, wait_for_rows, wait_for_started_run, wait_for_success, wait_until

MODEL, TABLE = "review_sentiment", "reviews"
INGEST, TRAIN, COLLECT = f"ingest_{TABLE}", f"train_{MODEL}", f"collect_{MODEL}"
ROWS = 4_000

Land = Callable[[str, Path], str]


class Client(threading.Thread):
    """Sends one review after the other, and keeps the id of every prediction that it was given."""

    def __init__(self, gateway: str) -> None:
        super().__init__(daemon=True)
        self.url = f"{gateway}/v1/models/{MODEL}/predict"
        self.ids: list[str] = []
        self.refused: list[requests.Response] = []
        self.unreachable = 0
        self._ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._ended.wait(0.05):
            number += 1
            body = {"instances": [{"text": f"A fine film, seen {number} times."}]}
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


def training_process(platform: Platform) -> psutil.Process | None:
    """The model's own training program, which MLflow started."""
    for process in psutil.Process(platform.guardian).children(recursive=True):
        try:
            if any(part.endswith("train.py") for part in process.cmdline()[:3]):
                return process
        except psutil.NoSuchProcess:
            continue
    return None


@pytest.mark.platform
@pytest.mark.timeout(500)
def test_a_killed_training_is_tried_again_and_the_schedules_first_run_serves(
    inside: Platform, airflow: Airflow, land: Land, tmp_path: Path
) -> None:
    for file in example_files(MODEL, tmp_path, rows=ROWS):
        land(TABLE, file)
    airflow.unpause(INGEST)
    wait_for_rows(TABLE, ROWS * 0.99, timeout_seconds=120)
    airflow.unpause(TRAIN)
    run_id = wait_for_started_run(airflow, TRAIN, run_type="scheduled")

    training = wait_until(lambda: training_process(inside), "the training program to start", timeout_seconds=180)
    training.kill()

    wait_for_success(airflow, TRAIN, run_id)
    tries = {task["task_id"]: task["try_number"] for task in airflow.tasks(TRAIN, run_id)}
    assert tries["train"] == 2
    answer = requests.get(f"{inside.addresses.gateway}/v1/models/{MODEL}", timeout=10).json()
    assert answer["run_id"] == airflow.result(TRAIN, run_id, "train")["run_id"]


@pytest.mark.platform
@pytest.mark.timeout(500)
def test_scheduler_torchserve_and_gateway_die_during_a_run_and_nothing_accepted_is_lost(
    inside: Platform, airflow: Airflow
) -> None:
    client = Client(inside.addresses.gateway)
    client.start()
    before = {run["dag_run_id"] for run in airflow.runs(TRAIN)}
    subprocess.run(["airflow", "dags", "trigger", TRAIN], env=inside.environment(), check=True, timeout=120)
    run_id = next(run["dag_run_id"] for run in airflow.runs(TRAIN) if run["dag_run_id"] not in before)

    wait_until(lambda: training_process(inside), "the training program to start", timeout_seconds=180)
    inside.kill("airflow-scheduler")
    inside.kill("torchserve")
    time.sleep(5)
    inside.kill("gateway")

    wait_for_success(airflow, TRAIN, run_id, timeout_seconds=360)
    answered = len(client.ids)
    wait_until(lambda: len(client.ids) > answered + 20, "the gateway to answer again", timeout_seconds=60)
    client.stop()
    assert {answer.status_code for answer in client.refused} <= {503, 504}
    assert all("Retry-After" in answer.headers for answer in client.refused if answer.status_code == 503)
    assert client.unreachable < len(client.ids)
    airflow.unpause(COLLECT)
    wait_for_success(airflow, COLLECT, airflow.trigger(COLLECT))
    from tasks.lake import Lake

    landed = Lake().read(f"{MODEL}__predictions", columns=["prediction_id"])["prediction_id"].to_pylist()
    assert set(client.ids) <= set(landed)
    assert len(landed) == len(set(landed))
