"""What is told of a rollout's versions is what became of the requests, and a copy never costs its caller."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway import shadow
from perennial_gateway.app import application
from perennial_gateway.database import as_text, connect, feedback, predictions, shadows, takebacks
from perennial_gateway.outcomes import outcomes_of
from perennial_gateway.shadow import agrees
from starlette.testclient import TestClient

from tasks.contracts import Outcomes
from tests.unit.gateway.models import STEPS, Models, route, serving, split
from tests.unit.gateway.postgres import postgres_url
from tests.unit.gateway.test_settings import settings

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        made.add("2", 2)
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[TestClient]:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    app = application(settings(gateway_database_url=url, torchserve_inference_url=models.url))
    with TestClient(app) as client:
        assert client.put("/internal/routes/m", json=route("1"), headers=STEPS).status_code == 200
        yield client


def ask(gateway: TestClient, *texts: str, **headers: str) -> Any:
    instances = [{"text": text} for text in texts or ("a",)]
    return gateway.post("/v1/models/m/predict", json={"instances": instances}, headers=headers)


def put_split(gateway: TestClient, **changes: Any) -> None:
    assert gateway.put("/internal/splits/m", json=split("2", **changes), headers=STEPS).status_code == 200


def told(gateway: TestClient, **query: Any) -> Outcomes:
    query = {"since": "2026-01-01T00:00:00Z"} | query
    answer = gateway.get("/internal/outcomes/m", params=query, headers=STEPS)
    assert answer.status_code == 200, answer.text
    return Outcomes.model_validate_json(answer.content)


def test_answers_and_failures_are_told_by_version_and_role(gateway: TestClient, models: Models) -> None:
    put_split(gateway, share=1.0)
    ask(gateway, "a", "b")
    models.add("2", {"status": 500, "error": "The model failed on this instance: KeyError."})
    assert [ask(gateway).status_code for _ in range(3)] == [500] * 3
    gateway.delete("/internal/splits/m", headers=STEPS)
    ask(gateway)
    models.add("1", {"status": 400, "error": "This text is refused."})
    assert ask(gateway).status_code == 422
    assert gateway.post("/v1/models/m/predict", json={"instances": [{"text": 5}]}).status_code == 422

    found = told(gateway)

    stable, candidate = found.versions
    assert (stable.model_version, stable.role, stable.answered, stable.failed) == ("1", "stable", 1, 0)
    assert (candidate.model_version, candidate.role) == ("2", "candidate")
    assert (candidate.answered, candidate.failed, candidate.predictions) == (1, 3, {"2": 1})
    assert candidate.latency_buckets["60"] == 1
    assert [("KeyError" in reason, count) for reason, count in candidate.reasons.items()] == [(True, 3)]
    assert stable.reasons == {}
    [row] = gateway.get("/internal/log/failures?model=m", headers=STEPS).json()["rows"]
    assert (row["status"], row["requests"], "KeyError" in row["reason"]) == (500, 3, True)
    metrics = gateway.get("/metrics").text
    name = "perennial_gateway_answers_total"
    of_candidate = f'{name}{{model="m",model_version="2",outcome="failed",role="candidate"}}'
    assert f"{of_candidate} 3.0" in metrics


def test_a_version_that_never_failed_has_a_count_of_0_from_which_prometheus_sees_the_first_failure(
    gateway: TestClient, models: Models
) -> None:
    models.add("never-failed", 1)
    assert gateway.put("/internal/routes/m", json=route("never-failed"), headers=STEPS).status_code == 200
    assert ask(gateway).status_code == 200
    of = 'model="m",model_version="never-failed",outcome="failed",role="stable"'
    assert f"perennial_gateway_answers_total{{{of}}} 0.0" in gateway.get("/metrics").text


def test_a_version_that_fails_at_large_requests_is_told_by_requests(
    gateway: TestClient, models: Models
) -> None:
    put_split(gateway, share=1.0)
    assert ask(gateway, *["a"] * 8).status_code == 200
    models.add("2", {"status": 500, "error": "The model failed on this instance: MemoryError."})
    assert ask(gateway, *["a"] * 8).status_code == 500

    [candidate] = told(gateway).versions

    assert (candidate.answered, candidate.failed, candidate.predictions) == (1, 1, {"2": 1})
    assert candidate.latency_buckets["60"] == 1


def test_a_version_that_answers_nothing_is_told_too(gateway: TestClient, models: Models) -> None:
    models.add("1", {"status": 500, "message": "Worker died."})
    assert ask(gateway).status_code == 503
    [version] = told(gateway).versions
    assert (version.answered, version.failed, version.role) == (0, 1, "stable")
    assert told(gateway, since="2100-01-01T00:00:00Z").versions == ()


def test_a_slow_version_fails_by_its_timeout(gateway: TestClient, models: Models) -> None:
    models.add("2", 2, seconds=1)
    put_split(gateway, share=1.0, candidate=route("2", timeout_seconds=0.1))
    assert ask(gateway).status_code == 504
    assert [(version.role, version.failed) for version in told(gateway).versions] == [("candidate", 1)]


def until(gateway: TestClient, copies: int) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = told(gateway).shadows
        if found and found[0].compared + found[0].failed + found[0].dropped >= copies:
            return found[0]
        time.sleep(0.05)
    pytest.fail("the copies did not arrive")


def test_a_copy_is_answered_beside_what_the_caller_was_told(gateway: TestClient, models: Models) -> None:
    put_split(gateway, kind="shadow", shadow_share=1.0)
    assert ask(gateway, "a", "b").json()["model_version"] == "1"
    until(gateway, 1)
    models.add("2", 1)
    prediction_id = ask(gateway).json()["predictions"][0]["prediction_id"]

    found = until(gateway, 2)

    assert (found.model_version, found.compared, found.agreed, found.failed) == ("2", 2, 1, 0)
    assert found.predictions == {"2": 1, "1": 1}
    rows = gateway.get("/internal/log/shadows?model=m", headers=STEPS).json()["rows"]
    [row] = [row for row in rows if row["prediction_id"] == prediction_id]
    assert (row["prediction"], row["live_prediction"], row["live_version"], row["agreed"]) == (1, 1, "1", 1)
    assert [version.role for version in told(gateway).versions] == ["stable"]


@pytest.mark.parametrize("fault", ["refuses", "fails", "answers nonsense", "is not there"])
def test_a_copy_that_comes_to_nothing_is_counted_and_no_caller_hears_of_it(
    gateway: TestClient, models: Models, fault: str
) -> None:
    faults: dict[str, Any] = {
        "refuses": {"status": 400, "error": "This text is refused."},
        "fails": {"status": 500, "message": "Worker died."},
        "answers nonsense": {"prediction": 1, "score": "high"},
    }
    if fault in faults:
        models.add("2", faults[fault])
    else:
        del models.versions["2"]
    put_split(gateway, kind="shadow", shadow_share=1.0)
    assert ask(gateway).status_code == 200

    assert (until(gateway, 1).failed, told(gateway).versions[0].failed) == (1, 0)
    [row] = gateway.get("/internal/log/shadows?model=m", headers=STEPS).json()["rows"]
    assert told(gateway).shadows[0].reasons == {row["fault"]: 1}


def test_copies_to_a_version_that_hangs_delay_nobody_and_what_is_too_much_is_dropped(
    gateway: TestClient, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_UNDER_WAY", 3)
    models.add("2", 2, seconds=1.0)
    put_split(gateway, kind="shadow", shadow_share=1.0)
    started = time.monotonic()
    assert {ask(gateway).status_code for _ in range(10)} == {200}
    assert time.monotonic() - started < 0.9

    found = until(gateway, 10)
    assert (found.compared, found.dropped) == (3, 7)


@pytest.mark.parametrize(
    ("live", "said", "same"),
    [
        (1, 1, True),
        (1, 2, False),
        (1000, 1001, False),  # classes
        (True, 1, False),
        ("a", "a", True),
        (1000.0, 1000.9, True),
        (1000.0, 1001.1, False),
        (0.0, 0.0, True),
        (0.0, 1e-9, False),
        (1000, 1000.5, True),
        ([1, 2], [1, 2], True),
        (None, None, True),
        (1.0, "1.0", False),
    ],
)
def test_two_answers_agree_where_they_are_the_same_or_numbers_a_thousandth_apart(
    live: Any, said: Any, same: bool
) -> None:
    assert agrees(live, said) is same


# --- the statements, on both databases  ------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        engine = connect(f"sqlite:///{tmp_path / 'gateway.db'}")
        yield engine
        engine.dispose()
    else:
        with postgres_url() as url:
            engine = connect(url)
            yield engine
            engine.dispose()


def at(seconds: float) -> str:
    return as_text(START + timedelta(seconds=seconds))


def prediction(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "prediction_id": f"p{number}",
        "model": "m",
        "predicted_at": at(number),
        "model_version": "1",
        "run_id": "r1",
        "role": "stable",
        "features": '{"text":"a"}',
        "prediction": "1",
        "score": 0.5,
        "latency_seconds": 0.004,
    } | changes


def copy(number: int, **changes: Any) -> dict[str, Any]:
    row = {"prediction_id": f"p{number}", "model": "m", "predicted_at": at(number), "model_version": "2"}
    said = {"run_id": "r2", "prediction": "1", "live_prediction": "1", "live_version": "1", "agreed": 1}
    return row | said | {"latency_seconds": 0.004, "fault": None} | changes


def label(number: int, value: str, **changes: Any) -> dict[str, Any]:
    row = {"prediction_id": f"p{number}", "model": "m", "label": value, "sent_by": "shop"}
    return row | {"received_at": at(1000 + number)} | changes


def outcomes(engine: sa.Engine, since: float = 0, labelled: int = 100) -> Outcomes:
    return Outcomes.model_validate_json(outcomes_of(engine, "m", at(since), labelled))


def test_predictions_are_counted_by_answer_and_latency_from_a_time_on(engine: sa.Engine) -> None:
    rows = [prediction(number, prediction=str(number % 3)) for number in range(9)]
    rows += [prediction(9, latency_seconds=0.3), prediction(10, latency_seconds=None)]
    rows += [prediction(11, model="other"), prediction(12, role=None), prediction(13, latency_seconds=99.0)]
    with engine.begin() as connection:
        connection.execute(predictions.insert(), rows)

    none, stable = outcomes(engine, since=3).versions

    assert (none.role, none.answered, stable.role, stable.answered) == (None, 1, "stable", 9)
    assert stable.predictions == {"1": 5, "0": 2, "2": 2}
    assert list(stable.predictions) == ["1", "0", "2"], "the most frequent first"
    bounds = ("0.003", "0.004", "0.2", "0.3", "60")
    assert tuple(stable.latency_buckets[bound] for bound in bounds) == (
        0,
        6,
        6,
        7,
        7,
    )


def test_an_instance_counts_for_its_part_of_its_request(engine: sa.Engine) -> None:
    rows = [prediction(number, instances=3, prediction=str(number)) for number in range(3)]
    rows += [prediction(3, instances=1), prediction(4, instances=None, latency_seconds=0.3)]
    copies = [copy(number, instances=4, agreed=int(number < 2)) for number in range(4)]
    copies += [copy(4, instances=None), copy(5, instances=2), copy(6, instances=2, fault="down", agreed=None)]
    with engine.begin() as connection:
        connection.execute(predictions.insert(), rows)
        connection.execute(feedback.insert(), [label(0, "1"), label(4, "1")])
        connection.execute(shadows.insert(), copies)

    found = outcomes(engine)

    [stable], [shadow] = found.versions, found.shadows
    assert (stable.answered, stable.latency_buckets["0.004"], stable.latency_buckets["60"]) == (3, 2, 3)
    assert stable.predictions == pytest.approx({"1": 2 + 1 / 3, "0": 1 / 3, "2": 1 / 3})
    assert (shadow.compared, shadow.agreed, shadow.failed) == (2.5, 2.0, 0)
    assert [one.instances for one in found.labelled] == [3, 1]


def test_of_many_answers_the_most_frequent_hundred_are_told(engine: sa.Engine) -> None:
    rows = [prediction(number, prediction=str(number / 4)) for number in range(150)]
    rows += [prediction(200 + number, prediction="77.5") for number in range(3)]
    with engine.begin() as connection:
        connection.execute(predictions.insert(), rows)

    [version] = outcomes(engine).versions

    assert (version.answered, len(version.predictions)) == (153, 100)
    assert version.predictions["77.5"] == 3


def test_a_prediction_has_its_newest_label_and_none_that_was_taken_back(engine: sa.Engine) -> None:
    labels = [
        label(1, "0"),
        label(1, "1"),
        label(2, "0", sent_by="thief"),
        label(3, "1"),
        label(3, "0", sent_by="thief"),
        label(4, "1", model="other"),
        label(5, "0", sent_by=None),
        label(6, "1", sent_by="thief", received_at=at(5000)),
        label(7, "0"),
    ]
    window = {"model": "m", "until": at(4000), "labels": 1, "why": "stolen"}
    taken = [
        window | {"sent_by": "thief", "since": at(900)},
        window | {"sent_by": None, "since": None},
        window | {"sent_by": "shop", "since": None, "until": at(10)},
    ]
    with engine.begin() as connection:
        connection.execute(predictions.insert(), [prediction(number) for number in range(8)])
        connection.execute(feedback.insert(), labels)
        connection.execute(takebacks.insert(), taken)

    found = [(one.prediction_id, one.label) for one in outcomes(engine).labelled]

    assert found == [("p1", 1), ("p3", 1), ("p6", 1), ("p7", 0)]
    assert [one.prediction_id for one in outcomes(engine, labelled=2).labelled] == ["p1", "p3"]
    assert [one.prediction_id for one in outcomes(engine, since=3.5).labelled] == ["p6", "p7"]
    first = outcomes(engine).labelled[0]
    assert (first.features, first.prediction, first.role) == ({"text": "a"}, 1, "stable")


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_time_without_a_zone_is_refused(gateway: TestClient, since: str) -> None:
    answer = gateway.get("/internal/outcomes/m", params={"since": since}, headers=STEPS)
    assert (answer.status_code, "is not a time" in answer.text) == (422, True)
