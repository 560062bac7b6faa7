"""What the gateway counts for a model's objectives: requests, not rows; since each time; right and wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from perennial_gateway.database import as_text, connect, failures, feedback, predictions
from perennial_gateway.objectives import objectives_of
from starlette.testclient import TestClient

from tasks.contracts import ObjectiveCounts
from tests.unit.gateway.models import STEPS
from tests.unit.gateway.test_outcomes import ask, gateway, models, put_split

__all__ = ["gateway", "models"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def engine(url: str) -> sa.Engine:
    return connect(url)


def answer(engine: sa.Engine, number: int, hours_ago: float, **more: Any) -> None:
    """A prediction in the log; `label` is its label."""
    label, at = more.pop("label", None), as_text(NOW - timedelta(hours=hours_ago))
    row = {
        "prediction_id": f"{number:032x}",
        "model": "m",
        "predicted_at": at,
        "model_version": "1",
        "run_id": "r",
        "features": "{}",
        "prediction": "1",
        "latency_seconds": 0.02,
        "role": "stable",
        "instances": 1,
    }
    with engine.begin() as connection:
        connection.execute(predictions.insert().values(row | more))
        if label is not None:
            told = {"prediction_id": f"{number:032x}", "model": "m", "label": label, "received_at": at}
            connection.execute(feedback.insert().values(told))


def fail(engine: sa.Engine, hours_ago: float, requests: int, role: str = "stable") -> None:
    row = {"model": "m", "failed_at": as_text(NOW - timedelta(hours=hours_ago)), "model_version": "1"}
    rest = {"run_id": "r", "role": role, "status": 500, "requests": requests, "reason": "It failed."}
    with engine.begin() as connection:
        connection.execute(failures.insert().values(row | rest))


def counted(engine: sa.Engine, *hours: float, seconds: float = 0.1, labels: float = 48) -> ObjectiveCounts:
    since = [as_text(NOW - timedelta(hours=each)) for each in hours]
    told = objectives_of(engine, "m", since, seconds, as_text(NOW - timedelta(hours=labels)))
    return ObjectiveCounts.model_validate_json(told)


def test_each_window_has_its_own_counts(engine: sa.Engine) -> None:
    for number, (hours_ago, latency) in enumerate(((0.5, 0.02), (0.5, 0.3), (5, 0.3), (30, 0.02))):
        answer(engine, number, hours_ago, latency_seconds=latency)
    fail(engine, 0.2, 2)
    fail(engine, 5, 1)
    fail(engine, 0.2, 50, role="shadow")
    answer(engine, 9, 0.5, model="other")

    found = counted(engine, 1, 6, 48).windows

    assert [(each.answered, each.slow, each.failed) for each in found] == [(2, 1, 2), (3, 2, 3), (4, 2, 3)]
    assert [each.since for each in found] == [NOW - timedelta(hours=hours) for hours in (1, 6, 48)]


def test_the_instances_of_one_request_are_one_request(engine: sa.Engine) -> None:
    for number in range(4):
        answer(engine, number, 1, instances=4, latency_seconds=0.5)
    answer(engine, 9, 1)
    [window] = counted(engine, 2).windows
    assert (window.answered, window.slow) == (2, 1)


def test_labelled_answers_are_told_of_all_versions_together_and_of_each(engine: sa.Engine) -> None:
    for number in range(10):
        answer(engine, number, 1, label="1" if number else "0")
    answer(engine, 20, 1, model_version="2", prediction="3", label="7")
    answer(engine, 21, 90, label="0")
    together, first, second = counted(engine, 1, labels=48).labelled
    assert (together.model_version, together.labelled) == (None, 11)
    assert (first.model_version, first.labelled, second.labelled) == ("1", 10, 1)
    assert first.right is not None
    assert first.right.value == 0.9
    assert 0.5 < first.right.low < 0.9 < first.right.high < 1
    assert together.error is not None
    assert together.error.value == pytest.approx(5 / 11)
    assert second.error is None, "one number has no interval"


def test_nothing_is_counted_of_a_model_that_nobody_asked(engine: sa.Engine) -> None:
    found = counted(engine, 1, 2)
    assert [(each.answered, each.slow, each.failed) for each in found.windows] == [(0, 0, 0)] * 2
    assert found.labelled == ()


def test_steps_are_told_over_http_and_nobody_else(gateway: TestClient) -> None:
    put_split(gateway, share=0.0)
    ask(gateway, "a", "b")
    query = [("since", "2026-01-01T00:00:00Z"), ("since", "2026-11-01T00:00:00Z"), ("seconds", "60")]
    told = gateway.get("/internal/objectives/m", params=query, headers=STEPS)
    found = ObjectiveCounts.model_validate(orjson.loads(told.content))
    assert [(each.answered, each.slow, each.failed) for each in found.windows] == [(1, 0, 0)] * 2
    assert gateway.get("/internal/objectives/m", params=query).status_code == 401


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ([], "Send since="),
        ([("since", "2026-01-01T00:00:00Z")] * 13, "between once and 12 times"),
        ([("since", "yesterday")], "is not a time"),
        ([("since", "2026-01-01T00:00:00Z"), ("seconds", "nan")], "seconds='nan' is not a number above 0"),
        ([("since", "2026-01-01T00:00:00Z"), ("seconds", "soon")], "seconds='soon'"),
        ([("since", "2026-01-01T00:00:00Z"), ("labels_since", "x")], "is not a time"),
    ],
)
def test_a_question_that_is_none_is_refused(
    gateway: TestClient, query: list[tuple[str, str]], told: str
) -> None:
    answer = gateway.get("/internal/objectives/m", params=query, headers=STEPS)
    assert (answer.status_code, told in answer.json()["error"]) == (422, True)
