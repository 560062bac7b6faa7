"""Whatever a request brings, it is answered with a sentence, and never with a fault of the gateway's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from perennial_gateway.app import application
from perennial_gateway.backend import _answer_of
from perennial_gateway.schemas import Schema, Unacceptable
from perennial_gateway.web import MOST_LEVELS, Refused, TooDeep, parse
from starlette.testclient import TestClient

from tests.unit.gateway.test_settings import settings

ROUTE: dict[str, Any] = {
    "model": "m",
    "model_version": "1",
    "run_id": "r",
    "backend_version": "1",
    "archive_sha256": "0",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
    "label_schema": {"type": "integer"},
    "timeout_seconds": 1,
}
STEPS = {"Authorization": "Bearer a token of the steps"}


@pytest.fixture
def gateway(tmp_path: Any) -> Iterator[TestClient]:
    app = application(settings(gateway_database_url=f"sqlite:///{tmp_path / 'gateway.db'}"))
    with TestClient(app) as client:
        assert client.put("/internal/routes/m", json=ROUTE, headers=STEPS).status_code == 200
        yield client


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("levels", [MOST_LEVELS, 300, 980, 1000, 1020, 1024, 5000])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/m/predict", '{"instances":[{"text":%s}]}'),
        ("/v1/models/m/predict", '{"instances":[{"other":%s}]}'),
        ("/v1/models/m/predict", '{"instances": %s}'),
        ("/v1/models/m/feedback", '{"feedback":[{"prediction_id":"a","label":%s}]}'),
        ("/internal/probe/m", '{"instances":[{"text":%s}]}'),
        ("/internal/takebacks", '{"sent_by":%s,"why":"w"}'),
    ],
)
def test_a_body_that_is_nested_too_deep_is_refused(
    gateway: TestClient, path: str, body: str, levels: int
) -> None:
    answer = gateway.post(
        path, content=body % nested(levels), headers=STEPS | {"Content-Type": "application/json"}
    )

    assert answer.status_code in {400, 422}
    assert "nested deeper than 100 levels" in answer.text or "depth limit exceeded" in answer.text


def test_a_route_that_is_nested_too_deep_is_refused(gateway: TestClient) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(MOST_LEVELS):
        schema = {"not": schema}
    answer = gateway.put("/internal/routes/m", json=ROUTE | {"input_schema": schema}, headers=STEPS)
    assert answer.status_code == 422
    assert "nested deeper than 100 levels" in answer.text


@pytest.mark.parametrize("reference", ["#", "#/nope"])
def test_a_route_whose_schema_cannot_be_applied_is_refused(gateway: TestClient, reference: str) -> None:
    schema = {"type": "integer", "$ref": reference}
    answer = gateway.put("/internal/routes/m", json=ROUTE | {"label_schema": schema}, headers=STEPS)
    assert answer.status_code == 422
    assert "This JSON Schema cannot be applied" in answer.text


def test_as_many_levels_as_are_allowed_are_read_and_told() -> None:
    value = parse(nested(MOST_LEVELS).encode())
    with pytest.raises(Unacceptable, match=r"… \(200 characters\) is not of type 'string'"):
        Schema({"type": "string"}).accept(value)
    with pytest.raises(TooDeep):
        parse(nested(MOST_LEVELS + 1).encode())


def test_a_value_that_is_too_deep_for_its_schema_is_refused() -> None:
    schema: dict[str, Any] = {"items": {"$ref": "#"}}
    for _ in range(5):
        schema = {"allOf": [schema]}

    with pytest.raises(Unacceptable, match="cannot be applied to it: the two together are nested too deep"):
        Schema(schema).accept(parse(nested(MOST_LEVELS).encode()))


def test_an_answer_that_is_nested_too_deep_is_a_fault_of_the_model() -> None:
    with pytest.raises(Refused, match="handler answered with something nested deeper") as refused:
        _answer_of(b'{"prediction": %s}' % nested(MOST_LEVELS).encode())
    assert refused.value.status == 502
