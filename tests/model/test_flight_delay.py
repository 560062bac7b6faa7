"""How the flight model behaves: late evenings and stormy
months are worse, and what it has never seen does not break it.
"""

from pathlib import Path
from typing import Any

import pytest
from perennial_gateway.schemas import Schema, instances_of
from sklearn.metrics import roc_auc_score

from tasks.evaluation.scoring import Scores
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT
from tests.model.conftest import Packaged, example_data, package, run_project, write_parts

SPEC = PipelineSpec.load(PROJECT / "models" / "flight_delay" / "pipeline.yaml")
MORNING, EVENING = 6 * 60 + 30, 20 * 60


@pytest.fixture(scope="module")
def model(tracking: Path, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Trained by `mlflow run` with its defaults on 30,000 flights."""
    work = tmp_path_factory.mktemp("flight_delay")
    write_parts(SPEC, example_data(SPEC.name, work / "landing", "--rows", "30000"), work / "data")
    run_project(SPEC.name, tracking, data=work / "data", output=work / "files")
    return package(SPEC, work / "files", work / "data", work)


def flight(**changes: Any) -> dict[str, Any]:
    return {**SPEC.serving.input_example, **changes}


ASKED = {
    "morning": flight(month=6, departure_minute=MORNING),
    "evening": flight(month=6, departure_minute=EVENING),
    "september": flight(month=9, departure_minute=EVENING),
    "december": flight(month=12, departure_minute=EVENING),
    "10:10": flight(departure_minute=610),
    "10:11": flight(departure_minute=611),
    "unseen": flight(flight="ZZ1", carrier="ZZ", origin="AAA", destination="ZZZ", distance_miles=11_999),
}
BAD = [flight(month=None), flight(departure_minute="noon"), flight(distance_miles=None)]
WRITTEN = [flight(month=12, departure_minute=EVENING), flight(month=12.0, departure_minute=1200.0)]


@pytest.fixture(scope="module")
def answers(model: Packaged) -> Scores:
    """To everything that is asked below, of one process: first what has an answer, what is refused last."""
    taken = instances_of({"instances": WRITTEN}, Schema(SPEC.serving.input_schema))
    return model.ask(*ASKED.values(), *taken, *WRITTEN, *BAD)


@pytest.fixture(scope="module")
def chance_of(answers: Scores) -> dict[str, float]:
    scores = answers.scores[: len(ASKED)]
    return {name: value for name, value in zip(ASKED, scores, strict=True) if value is not None}


def test_it_ranks_late_flights_above_punctual_ones_and_knows_how_many_there_are(model: Packaged) -> None:
    test = model.part("test")

    scores = model.ask_rows(test).scores

    assert roc_auc_score(test["late"], scores) > 0.67
    assert sum(scores) / len(scores) == pytest.approx(test["late"].mean(), abs=0.03)


def test_an_evening_departure_is_later_than_a_morning_one(chance_of: dict[str, float]) -> None:
    assert chance_of["evening"] > chance_of["morning"] + 0.1


def test_december_is_later_than_september(chance_of: dict[str, float]) -> None:
    assert chance_of["december"] > chance_of["september"] + 0.05


def test_one_minute_changes_little(chance_of: dict[str, float]) -> None:
    assert chance_of["10:10"] == pytest.approx(chance_of["10:11"], abs=0.02)


def test_what_it_has_never_seen_is_answered_within_reason(chance_of: dict[str, float]) -> None:
    assert 0.01 < chance_of["unseen"] < 0.95


def test_a_flight_with_a_missing_or_wrong_feature_is_refused_alone(answers: Scores) -> None:
    good = len(ASKED) + 2 * len(WRITTEN)

    assert set(answers.predictions[:good]) <= {0, 1}
    assert [(refused.row, refused.status) for refused in answers.refused] == [
        (good + number, 400) for number in range(len(BAD))
    ]


def test_a_month_is_scored_the_same_however_a_client_writes_it(answers: Scores) -> None:
    scores = answers.scores[len(ASKED) :]

    assert scores[0] == scores[1] == scores[2]
    assert scores[3] != scores[2], "the handler itself tells 12 from 12.0: the gateway has to decide"


def test_only_what_is_known_before_departure_is_a_feature() -> None:
    known_later = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late"}

    assert not known_later & set(SPEC.data.features)
