"""Releases through the real Airflow, gateway, TorchServe and MLflow: a good version passes dev and staging, a
canary and a person's yes and reaches everybody though the triggerer and the scheduler are killed meanwhile;
one that fails live goes back by itself; and a person at a shell sees and does the rest.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.conftest import ask, input_example, wait_for_run, wait_for_success, wait_until
from tests.system.loop import MULTICLASS as MODEL
from tests.system.loop import Loop

TRAIN, RELEASE = f"train_{MODEL}", f"release_{MODEL}"
RULES = {
    "mode": "canary",
    "environments": ["dev", "staging"],
    "approval": "before_full",
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
LAST_STAGE = "canary_100"
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
                self.versions.append(answer.json()["model_version"])
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
            {"enter_staging", f"judge_{LAST_STAGE}"} <= tasks_of(airflow, RELEASE)
            and "start_release" in tasks_of(airflow, TRAIN)
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


def approve(airflow: Airflow, run_id: str, why: str) -> None:
    """Say yes, once a person is asked, as they do on Airflow's page; again where they are asked again, as
    they are where the task is tried once more.
    """
    task_id = f"ask_before_{LAST_STAGE}"
    path = f"/dags/{RELEASE}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/-1/hitlDetails"
    said = {"chosen_options": ["Approve"], "params_input": {"why": why}}

    def answered() -> bool:
        state = state_of(airflow, run_id, task_id)
        if state == "awaiting_input" and not airflow.call("GET", path)["response_received"]:
            airflow.call("PATCH", path, json=said)
        return state == "success"

    wait_until(answered, "the answer to be taken", timeout_seconds=400)


def serving(platform: Platform, below: str = "") -> dict[str, Any]:
    """What serves, of production or below an environment's name."""
    answer = requests.get(f"{platform.addresses.gateway}{below}/v1/models/{MODEL}", timeout=10)
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
        approve(airflow, run_id, "It looks well.")
        states = wait_for_run(airflow, RELEASE, run_id)

    assert states.pop("ask_before_production") == "skipped", "a person was asked before a stage"
    assert set(states.values()) == {"success"}, states
    assert asking.failed == []
    assert {before, serving(inside)["model_version"]} == set(asking.versions)
    assert serving(inside)["model_version"] != before
    run = airflow.result(RELEASE, run_id, "accept")["run"]["run_id"]
    assert {serving(inside, below)["run_id"] for below in ("", "/dev", "/staging")} == {run}


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
    assert serving(inside, "/staging")["model_version"] == last.evidence["version"], "nobody met it there"


@pytest.mark.platform
@pytest.mark.timeout(1500)
def test_a_person_at_a_shell_compares_versions_predicts_a_table_and_leaves_staging_and_comes_back(
    inside: Platform, airflow: Airflow, released_by_stages: Path
) -> None:
    stable, other = serving(inside)["model_version"], serving(inside, "/staging")["model_version"]
    assert stable != other, "the test before left them so"

    def say(*words: str) -> str:
        done = ask(inside, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    say("ab", "start", MODEL, other, "--labels", "100", "--why", "Is it better?")
    predicted = airflow.trigger(f"predict_batch_{MODEL}", source="digits", into="scored_digits")
    told = ask(inside, "status", MODEL)
    assert f"Version {other} is compared with what serves (A/B)" in told.stderr
    assert f"In staging: {MODEL}: version {other}, since" in told.stderr
    assert "Nothing is said of the versions before" in say("ab", "report", MODEL)
    label_answers(inside, 200)
    report = json.loads(say("ab", "report", MODEL, "--json"))
    assert (report["reached"], report["labelled"]) == (True, 100)
    assert "answers everything" in say("ab", "stop", MODEL, "--why", "They are alike.")

    back = say("rollback", MODEL, "--environment", "staging", "--why", "It fails.")
    assert back == f"{MODEL}: version {stable} serves again in staging, instead of version {other}.\n"
    assert {serving(inside, below)["model_version"] for below in ("", "/staging")} == {stable}
    again = say("release", MODEL, other, "--environment", "staging", "--wait", "--why", "Once more.")
    assert again == f"{MODEL}: version {other} serves in staging.\n"
    assert (serving(inside, "/staging")["model_version"], serving(inside)["model_version"]) == (other, stable)

    wait_for_success(airflow, f"predict_batch_{MODEL}", predicted)
    done = airflow.result(f"predict_batch_{MODEL}", predicted, "predict_batch")
    assert (done["rows"] > 1000, done["errors"], done["versions"]) == (True, 0, [stable])


def label_answers(platform: Platform, number: int) -> None:
    """Ask so often, and send a label for each answer."""
    url = f"{platform.addresses.gateway}/v1/models/{MODEL}"
    for _ in range(number):
        answer = requests.post(f"{url}/predict", json={"instances": [input_example(MODEL)]}, timeout=30)
        told = answer.json()["predictions"][0]["prediction_id"]
        label = {"feedback": [{"prediction_id": told, "label": "0"}]}
        assert requests.post(f"{url}/feedback", json=label, timeout=30).ok
