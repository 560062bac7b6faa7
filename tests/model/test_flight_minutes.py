"""How the model of delays in minutes behaves: it joins two tables, and storms and evenings cost time.

It is trained by the steps of its DAG, on what example_data.py of the two models of flights lets land. A worse
candidate tries in tests/system/test_new_models.py.
"""

from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.evaluation.scoring import Scores
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tests.conftest import PROJECT
from tests.model.conftest import Loop, ask, example_data
from tests.steps.by_hand import ByHand, Judged

MODEL = "flight_minutes"
SPEC = PipelineSpec.load(PROJECT / "models" / MODEL / "pipeline.yaml")
MORNING, EVENING = 6 * 60 + 30, 20 * 60


@pytest.fixture(scope="module")
def loop(loop_of: Loop) -> ByHand:
    """A state folder with 20,000 flights and the weather of the year in the lake."""
    made = loop_of(MODEL)
    example_data("flight_delay", made.home / "landing" / "flights", "--rows", "20000")
    example_data(MODEL, made.home / "landing" / "weather")
    for table in SPEC.data.all_tables:
        assert made.ingest(table).published_rows > 15_000
    return made


@pytest.fixture(scope="module")
def first(loop: ByHand) -> Judged:
    return loop.train("first")


def flight(**changes: Any) -> dict[str, Any]:
    return {**SPEC.serving.input_example, **changes}


ASKED = {
    "morning": flight(month=6, departure_minute=MORNING),
    "evening": flight(month=6, departure_minute=EVENING),
    "storm": flight(
        month=6, departure_minute=EVENING, precipitation_inch=0.4, visibility_miles=1.0, humidity_percent=97.0
    ),
    "unseen": flight(flight="ZZ1", carrier="ZZ", origin="AAA", destination="ZZZ", distance_miles=11_999),
    "no number": flight(temperature_f=None),
    "no hour": flight(departure_minute="noon"),
}


@pytest.fixture(scope="module")
def answers(first: Judged, tmp_path_factory: pytest.TempPathFactory) -> Scores:

    return ask(first.archive, SPEC, list(ASKED.values()), tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def minutes(answers: Scores) -> dict[str, Any]:
    return dict(zip(ASKED, answers.predictions, strict=True))


def test_it_is_promoted_because_it_beats_a_ridge_regression(first: Judged) -> None:
    found = {metric.name: metric.value for metric in first.evaluation.candidate.metrics}
    simple = {metric.name: metric.value for metric in first.evaluation.baseline.metrics}

    assert first.decision.verdict == "promote", first.decision.why
    assert {"serves_as_trained", "prepares_as_trained"} <= {rule.rule for rule in first.decision.rules}
    assert first.evaluation.baseline.name == "a ridge regression on the features"
    assert found["r2"] > 0.1
    assert found["rmse"] < simple["rmse"] - 0.5


def test_both_tables_are_pinned_in_the_snapshot_and_named_in_the_lineage(first: Judged) -> None:
    snapshot, run = first.run.snapshot, registry.client().get_run(first.run.run_id)

    pinned = [(table.table, table.version) for table in snapshot.pinned]
    assert pinned == [("flights", 1), ("weather", 1)]
    assert run.data.tags["perennial.tables"] == "flights v1, weather v1"
    names = {given.dataset.name for given in run.inputs.dataset_inputs}
    assert names == {"flights-v1-train", "flights-v1-validation", "flights-v1-test", "weather-v1-joined"}
    assert pq.read_table(snapshot.train.url)["wind_mph"].null_count == 0


def test_a_storm_costs_time_and_so_does_the_evening(minutes: dict[str, Any]) -> None:
    assert minutes["storm"] > minutes["evening"] + 15
    assert minutes["evening"] > minutes["morning"] + 5


def test_what_it_has_never_seen_is_answered_within_reason(minutes: dict[str, Any]) -> None:
    assert -60 < minutes["unseen"] < 240


def test_a_flight_with_a_missing_or_wrong_feature_is_refused_alone(answers: Scores) -> None:
    assert [(refused.row, refused.status) for refused in answers.refused] == [(4, 400), (5, 400)]
