"""A model joins the running platform and leaves it; a regression and a multiclass one go round the loop.

The trainings run beside each other: what a test waits for has been at work since the tests before it.
"""

import os
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tasks.ledger import entries
from tasks.settings import PROJECT
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tests.system.conftest import (
    example_files,
    put,
    wait_for_rows,
    wait_for_run,
    wait_for_success,
    wait_until,
)

NEW, REGRESSION, MULTICLASS = "demo_model", "flight_minutes", "handwritten_digit"
TABLES = {NEW: NEW, REGRESSION: "weather", MULTICLASS: "digits"}
WORSE = {
    REGRESSION: {"epochs": 1, "learning_rate": 1.0},
    MULTICLASS: {"epochs": 1, "learning_rate": 0.0001},
}
TRUTH: dict[str, Any] = {REGRESSION: 25, MULTICLASS: "0"}
STALE_SECONDS = 200  # Airflow looks for DAGs that have left their file about once a minute

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]


@dataclass
class Loop:
    """The platform, its folder of models, and the training runs that these tests have started, by model."""

    platform: Platform
    airflow: Airflow
    models: Path
    first: dict[str, str] = field(default_factory=dict)
    worse: dict[str, str] = field(default_factory=dict)

    def train(self, model: str, **parameters: Any) -> str:
        return self.airflow.trigger(f"train_{model}", reason="a test", **parameters)

    def result(self, model: str, step: str) -> dict[str, Any]:
        return self.airflow.result(f"train_{model}", self.first[model], step)

    def predict(self, model: str) -> requests.Response:
        path = self.models / model / "pipeline.yaml"
        example = PipelineSpec.load(path if path.exists() else self.left / path.name).serving.input_example
        return self._post(f"{model}/predict", {"instances": [example]})

    def tell(self, model: str, prediction_id: str, label: Any) -> requests.Response:
        return self._post(
            f"{model}/feedback", {"feedback": [{"prediction_id": prediction_id, "label": label}]}
        )

    @property
    def left(self) -> Path:
        """Where the new model's folder lies once it was removed."""
        return self.models.parent / NEW

    def _post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{self.platform.addresses.gateway}/v1/models/{path}", json=body, timeout=30)


@pytest.fixture(scope="module")
def loop(
    platform: Platform,
    configuration: dict[str, str],
    second_model: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Loop:
    """A model that was made a moment ago and two shipped ones, each at its first training.

    Their schedules start a run as soon as Airflow has read the DAG. It may come before the rows, and finds
    nothing to do, or after them, and trains before ours.

    The flights have landed for the second model.
    """
    made = Loop(
        platform,
        Airflow(platform.addresses.airflow, platform.airflow_token),
        Path(configuration["PERENNIAL_MODELS"]),
    )
    command = ["make", "-s", "model", f"NAME={NEW}", "TASK=regression"]
    subprocess.run(command, cwd=PROJECT, env={**os.environ, **configuration}, check=True, timeout=120)
    landed = tmp_path_factory.mktemp("landed")
    for model, table in TABLES.items():
        for file in example_files(model, landed / table, models=made.models, batches=1):
            put(platform, table, file)
    ingests = [f"ingest_{table}" for table in TABLES.values()]
    made.airflow.wait_for_dags([*ingests, *(f"train_{model}" for model in TABLES)], timeout_seconds=120)
    for dag_id in ingests:
        made.airflow.unpause(dag_id)
    for model, table in TABLES.items():
        wait_for_rows(table, 1700, timeout_seconds=120, lake_url=str(platform.home / "lake"))
        made.airflow.unpause(f"train_{model}")
        made.first[model] = made.train(model)
    return made


def test_a_model_that_was_just_made_trains_and_serves_without_an_edit(loop: Loop) -> None:
    wait_for_success(loop.airflow, f"train_{NEW}", loop.first[NEW])

    answer = loop.predict(NEW)

    assert answer.status_code == 200, answer.text
    judged = loop.result(NEW, "package")["example_prediction"]["prediction"]
    assert nearly(answer.json()["predictions"][0]["prediction"], judged)
    loop.models.joinpath(NEW).rename(
        loop.left
    )  # it is not needed any more: the last test looks what is left of it


@pytest.mark.parametrize("model", [REGRESSION, MULTICLASS])
def test_a_model_of_another_task_goes_round_the_loop(loop: Loop, model: str) -> None:
    wait_for_success(loop.airflow, f"train_{model}", loop.first[model])
    loop.worse[model] = loop.train(model, **WORSE[model])

    answer = loop.predict(model)

    assert loop.result(model, "gate")["verdict"] == "promote"
    assert answer.status_code == 200, answer.text
    assert answer.json()["run_id"] == loop.result(model, "train")["run_id"]
    (prediction,) = answer.json()["predictions"]
    judged = loop.result(model, "package")["example_prediction"]
    assert nearly(prediction["prediction"], judged["prediction"])
    accepted = loop.tell(model, prediction["prediction_id"], TRUTH[model])
    assert accepted.ok, accepted.text


@pytest.mark.parametrize("model", [REGRESSION, MULTICLASS])
def test_a_worse_candidate_is_refused_and_what_serves_goes_on_serving(loop: Loop, model: str) -> None:
    states = wait_for_run(loop.airflow, f"train_{model}", loop.worse[model], timeout_seconds=300)

    decision = loop.airflow.result(f"train_{model}", loop.worse[model], "gate")
    assert decision["verdict"] == "reject", decision["why"]
    assert (states["gate"], states["register"], states["deploy"]) == ("success", "skipped", "skipped")
    assert loop.predict(model).json()["run_id"] == loop.result(model, "train")["run_id"]


def test_a_model_that_was_removed_leaves_with_its_dags_and_its_watcher_and_its_records_stay(
    loop: Loop, inside: Platform
) -> None:
    served = loop.predict(NEW)
    assert served.status_code == 200, "it serves until somebody withdraws it"
    version = served.json()["model_version"]

    run_id = loop.airflow.trigger("withdraw_model", model=NEW, reason="The test is over.")

    wait_for_success(loop.airflow, "withdraw_model", run_id)
    assert loop.predict(NEW).status_code == 404
    withdrawn = next(entry for entry in entries.history(NEW) if entry.action == "withdraw")
    assert (withdrawn.before, withdrawn.after, withdrawn.why) == (version, None, "The test is over.")
    assert registry.aliased_version(NEW) is None
    assert registry.get_version(NEW, version).run_id == served.json()["run_id"]
    gone = {f"{family}_{NEW}" for family in ("ingest", "train", "drift", "collect")}
    wait_until(
        lambda: not gone & loop.airflow.dag_ids(), "the end of its DAGs", timeout_seconds=STALE_SECONDS
    )
    loop.airflow.call("DELETE", f"/dags/ingest_{NEW}")
    wait_until(
        lambda: f"files for {NEW}" not in watchers(inside),
        "the end of its watcher",
        timeout_seconds=STALE_SECONDS,
    )
    assert "files for weather" in watchers(inside)


def nearly(said: Any, judged: Any) -> bool:
    """Whether two answers are the same label, or the same number but for its last digits."""
    return bool(said == (judged if isinstance(judged, str) else pytest.approx(judged, rel=1e-3)))


def watchers(platform: Platform) -> set[str]:
    """The watchers that Airflow's triggerer runs."""
    (database,) = platform.home.glob("**/airflow.db")
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT name FROM asset_watcher").fetchall()
    return {name for (name,) in rows}
