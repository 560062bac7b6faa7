"""The losses of labelled answers are counted by version and slice, however many labels have come."""

from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from perennial_gateway.database import feedback, predictions
from perennial_gateway.labelled import LossRule
from perennial_gateway.outcomes import outcomes_of
from starlette.testclient import TestClient

from tasks.contracts import LossRule as Rule
from tasks.contracts import Outcomes, SlicedColumn
from tests.unit.gateway.models import STEPS
from tests.unit.gateway.test_outcomes import ask, at, engine, gateway, label, models, prediction, told

__all__ = ["engine", "gateway", "models"]


def losses(engine: sa.Engine, **rule: Any) -> dict[tuple[Any, ...], tuple[float, float]]:
    told = outcomes_of(engine, "m", at(0), 0, LossRule.of(orjson.dumps(rule).decode()))
    found = Outcomes.model_validate_json(told).losses
    return {(one.role, one.slice, one.value): (one.labelled, one.loss) for one in found}


def test_every_label_counts_however_many_there_are(engine: sa.Engine) -> None:
    rows = [prediction(number, role="stable" if number % 20 else "candidate") for number in range(12_000)]
    labels = [label(number, str(int(number % 10 > 0))) for number in range(12_000)]
    with engine.begin() as connection:
        connection.execute(predictions.insert(), rows)
        connection.execute(feedback.insert(), labels)

    told = losses(engine)

    assert told == {("candidate", None, None): (600, 600), ("stable", None, None): (11_400, 600)}


def test_losses_are_told_of_slices_by_values_and_by_bins(engine: sa.Engine) -> None:
    features = [
        {"source": "web", "far": 499.9},
        {"source": "web", "far": 500},
        {"source": 'a "b" \u00e9', "far": 1000},
        {"source": None, "far": True},
        {"far": "1"},
        {"source": "a\x00b", "far": -3},
        {"source": "x" * 300, "far": None},
        {"source": 3, "far": 1e9},
    ]
    rows = [
        prediction(number, features=orjson.dumps(each).decode(), instances=2 if number < 2 else None)
        for number, each in enumerate(features)
    ]
    with engine.begin() as connection:
        connection.execute(predictions.insert(), rows)
        connection.execute(feedback.insert(), [label(number, str(number % 2)) for number in range(8)])

    told = losses(engine, slices=[{"column": "source"}, {"column": "far", "edges": [500, 1000]}])

    assert told["stable", None, None] == (7, 3.5)
    assert told["stable", 0, "web"] == (1, 0.5)
    assert told["stable", 0, 'a "b" \u00e9'] == (1, 1)
    assert told["stable", 0, 3] == (1, 0)
    assert told["stable", 1, 0][0] == (0.5 if engine.dialect.name == "postgresql" else 1.5)
    assert (told["stable", 1, 1], told["stable", 1, 2]) == ((0.5, 0), (2, 1))
    assert max(len(str(value)) for _, _, value in told) < 100


def test_the_loss_of_a_number_is_its_error_in_units_of_the_largest(engine: sa.Engine) -> None:
    answers, labels = ["1.5", "-2", "100", "null", "true"], ["1.0", "2", "0", "1", "1"]
    with engine.begin() as connection:
        connection.execute(
            predictions.insert(), [prediction(number, prediction=one) for number, one in enumerate(answers)]
        )
        connection.execute(feedback.insert(), [label(number, one) for number, one in enumerate(labels)])

    assert losses(engine, largest_error=10) == {("stable", None, None): (3, pytest.approx(0.05 + 0.4 + 1))}


def test_of_many_slices_the_most_frequent_hundred_are_told(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        rows = [prediction(number, features=f'{{"text":"{number % 151}"}}') for number in range(152)]
        connection.execute(predictions.insert(), rows)
        connection.execute(feedback.insert(), [label(number, "1") for number in range(152)])

    told = losses(engine, slices=[{"column": "text"}])

    assert (len(told), told["stable", 0, "0"]) == (101, (2, 0))


def test_losses_are_told_by_the_rule_that_the_steps_send(gateway: TestClient) -> None:
    rule = Rule(slices=(SlicedColumn(column="text"), SlicedColumn(column="length", edges=(1.5,))))
    ids = [each["prediction_id"] for each in ask(gateway, "a", "b").json()["predictions"]]
    labels = [{"prediction_id": each, "label": number} for number, each in enumerate(ids)]
    assert gateway.post("/v1/models/m/feedback", json={"feedback": labels}).status_code == 202

    found = told(gateway, labelled=0, losses=rule.model_dump_json())

    assert found.labelled == ()
    assert [(one.slice, one.value, one.labelled, one.loss) for one in found.losses] == [
        (None, None, 1.0, 0.5),
        (0, "a", 0.5, 0.5),
        (0, "b", 0.5, 0.0),
        (1, None, 1.0, 0.5),
    ]


@pytest.mark.parametrize("rule", ["", "[]", '{"largest_error":0}', '{"slices":[{"column":"a\\u0000"}]}'])
def test_a_rule_of_losses_that_is_none_is_refused(gateway: TestClient, rule: str) -> None:
    query = {"since": "2026-01-01T00:00:00Z", "losses": rule}
    answer = gateway.get("/internal/outcomes/m", params=query, headers=STEPS)
    assert (answer.status_code, "not a rule of losses" in answer.text) == (422, True)
