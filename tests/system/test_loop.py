"""The loop from a landed file to a serving model for another model than that of the demo: no other DAG."""

import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.conftest import input_example


def predict(platform: Platform, model: str, instance: dict[str, object]) -> dict[str, object]:
    answer = requests.post(
        f"{platform.addresses.gateway}/v1/models/{model}/predict", json={"instances": [instance]}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document


@pytest.mark.platform
@pytest.mark.timeout(400)
def test_a_second_model_needs_nothing_outside_its_folder_and_its_suite(
    inside: Platform, airflow: Airflow, second_model: str
) -> None:
    run_id = second_model
    decision = airflow.result("train_flight_delay", run_id, "gate")
    assert decision["verdict"] == "promote"
    version = airflow.result("train_flight_delay", run_id, "deploy")["stable"]["model_version"]
    example = airflow.result("train_flight_delay", run_id, "package")["example_prediction"]
    instance = input_example("flight_delay")
    answer = predict(inside, "flight_delay", instance)
    assert (answer["model_version"], answer["run_id"]) == (version, decision["run_id"])
    assert answer["predictions"][0]["prediction"] == example["prediction"]
