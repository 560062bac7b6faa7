"""The loop on real data, from a landed file to a serving model: other models, other tables, no other DAG."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from demo.airflow import Airflow
from embedded.platform import Platform
from tests.system.conftest import input_example, wait_for_rows, wait_for_success

YELP = Path(__file__).resolve().parents[3] / "shared" / "data" / "yelp" / "phoenix_2005_2013.csv.gz"

Land = Callable[[str, Path], str]


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


@pytest.mark.platform
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    not YELP.exists(), reason=f"the real Yelp reviews are not there: no {YELP.name} in ../shared/data/yelp"
)
def test_the_same_dags_run_on_the_real_yelp_reviews_by_configuration_alone(
    inside: Platform, airflow: Airflow, land: Land
) -> None:
    land("yelp_reviews", YELP)
    wait_for_rows("yelp_reviews", 5_900, timeout_seconds=120)
    airflow.unpause("train_yelp_sentiment")

    run_id = airflow.trigger("train_yelp_sentiment", epochs=4, reason="the trigger form")

    wait_for_success(airflow, "train_yelp_sentiment", run_id)
    assert airflow.result("train_yelp_sentiment", run_id, "train")["parameters"]["epochs"] == "4"
    evaluation = airflow.result("train_yelp_sentiment", run_id, "evaluate")
    metrics = {metric["name"]: metric["value"] for metric in evaluation["candidate"]["metrics"]}
    assert metrics["roc_auc"] > 0.9
    assert (
        predict(inside, "yelp_sentiment", {"text": "Awful service, cold food, never again."})["predictions"][
            0
        ]["prediction"]
        == 0
    )
    assert (
        predict(inside, "yelp_sentiment", {"text": "Great tacos, friendly people, love it!"})["predictions"][
            0
        ]["prediction"]
        == 1
    )
