"""A canary through the real Airflow, gateway, TorchServe and MLflow: a good version reaches everybody though
the triggerer and the scheduler are killed meanwhile, and one that fails live goes back by itself.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.conftest import input_example, wait_for_run, wait_for_success, wait_until
from tests.system.loop import MULTICLASS as MODEL
from tests.system.loop import Loop

TRAIN, RELEASE = f"train_{MODEL}", f"release_{MODEL}"
RULES = {
    "mode": "canary",
    "steps": [0.5, 1.0],
    "shadow": {"requests": 0},
    "step": {"requests": 60, "seconds": 5, "longest_seconds": 240},
    "checks": {
        "errors": {"margin": 0.2},
        "latency": {"margin": 0.4, "ratio": 20},
        "predictions": {"largest_change": None},
    },
    "acceptance": {"rows": 50, "requests": 50},
}
NEVER_SEEN = "g" * 64
"""An image that is all ink: none of the examples is, so that nothing before the canary asks it."""
FAILS_ON_IT = f"""    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if any(instance["pixels"] == "{NEVER_SEEN}" for instance in instances):
            raise RuntimeError("No digit is all ink.")
"""
PREDICT = FAILS_ON_IT.splitlines(keepends=True)[0]


class Users(threading.Thread):
    """Ask for digits, half of them for the image that nobody had seen before."""

    def __init__(self, gateway: str) -> None:
        super().__init__(daemon=True)
        self.url = f"{gateway}/v1/models/{MODEL}/predict"
        self.versions: list[str] = []
        self.failed: list[int] = []
        self._ended = threading.Event()

    def run(self) -> None:
        asked = 0
        while not self._ended.wait(0.05):
            asked += 1
            instance = {"pixels": NEVER_SEEN} if asked % 2 else input_example(MODEL)
            answer = requests.post(self.url, json={"instances": [instance]}, timeout=30)
            if answer.ok:
                self.versions.append(answer.json()["predictions"][0]["model_version"])
            else:
                self.failed.append(answer.status_code)

    def stop(self) -> None:
        self._ended.set()
        self.join()


@pytest.fixture
def released_by_stages(loop: Loop, airflow: Airflow) -> Iterator[Path]:
    """The model's folder, whose first version serves, and whose next ones are released by stages.

    The gate lets another seed through that is no worse: it is the release that is looked at.
    """
    wait_for_success(airflow, TRAIN, loop.first[MODEL])
    folder = loop.models / MODEL
    files = [folder / "pipeline.yaml", folder / "handler.py"]
    before = {file: file.read_text() for file in files}
    document = yaml.safe_load(before[files[0]])
    gate = document["gate"] | {"policy": "non_inferiority", "margin": 0.2, "slice_margin": 0.2}
    files[0].write_text(yaml.safe_dump(document | {"release": RULES, "gate": gate}))
    wait_until(
        lambda: (
            "judge_canary_100" in tasks_of(airflow, RELEASE) and "start_release" in tasks_of(airflow, TRAIN)
        ),
        "Airflow to read the stages",
        timeout_seconds=180,
        pause_seconds=2,
    )
    yield folder
    for file, text in before.items():
        file.write_text(text)


def tasks_of(airflow: Airflow, dag_id: str) -> set[str]:
    return {task["task_id"] for task in airflow.call("GET", f"/dags/{dag_id}/tasks")["tasks"]}


def state_of(airflow: Airflow, run_id: str, task_id: str) -> str | None:
    states = {task["task_id"]: task["state"] for task in airflow.tasks(RELEASE, run_id)}
    return states.get(task_id)


def trained(loop: Loop, airflow: Airflow, seed: int) -> str:
    """The run of the release that a training has started."""
    run_id = loop.train(MODEL, seed=seed)
    wait_for_success(airflow, TRAIN, run_id)
    return f"{run_id}_released"


def serving(platform: Platform) -> dict[str, Any]:
    answer = requests.get(f"{platform.addresses.gateway}/v1/models/{MODEL}", timeout=10)
    told: dict[str, Any] = answer.json()
    return told


@contextmanager
def users(platform: Platform) -> Iterator[Users]:
    asking = Users(platform.addresses.gateway)
    asking.start()
    try:
        yield asking
    finally:
        asking.stop()


@pytest.mark.platform
@pytest.mark.timeout(1500)
def test_a_good_version_reaches_everybody_although_what_watches_it_is_killed(
    inside: Platform, airflow: Airflow, loop: Loop, released_by_stages: Path
) -> None:
    before = serving(inside)["model_version"]
    with users(inside) as asking:
        run_id = trained(loop, airflow, seed=11)
        wait_until(
            lambda: state_of(airflow, run_id, "watch_canary_50") == "deferred",
            "the first stage",
            timeout_seconds=300,
        )
        inside.kill("airflow-triggerer")
        inside.kill("airflow-scheduler")
        states = wait_for_run(airflow, RELEASE, run_id)

    assert set(states.values()) == {"success"}, states
    assert asking.failed == []
    assert {before, serving(inside)["model_version"]} == set(asking.versions)
    assert serving(inside)["model_version"] != before
    assert serving(inside)["run_id"] == airflow.result(RELEASE, run_id, "accept")["run"]["run_id"]


@pytest.mark.platform
@pytest.mark.timeout(1500)
def test_a_version_that_fails_live_goes_back_by_itself(
    inside: Platform, airflow: Airflow, loop: Loop, released_by_stages: Path
) -> None:
    from tasks.contracts import Action
    from tasks.ledger import entries
    from tasks.release.decide import replayed

    before = serving(inside)["model_version"]
    handler = released_by_stages / "handler.py"
    assert PREDICT in handler.read_text()
    handler.write_text(handler.read_text().replace(PREDICT, FAILS_ON_IT))

    with users(inside) as asking:
        run_id = trained(loop, airflow, seed=12)
        states = wait_for_run(airflow, RELEASE, run_id)

    assert states["judge_canary_50"] == "failed", states
    assert states["promote"] == "upstream_failed"
    assert serving(inside)["model_version"] == before
    assert set(asking.failed) <= {500, 502}
    [*_, last] = entries.history(MODEL, {Action.RELEASE})
    assert last.after == "roll_back"
    assert replayed(last).verdict == "roll_back"
