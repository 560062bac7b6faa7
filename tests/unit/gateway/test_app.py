"""Whatever a request brings, it is answered with a sentence, and never with a fault of the gateway's own."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway.app import application
from perennial_gateway.backends.torchserve import _answer_of
from perennial_gateway.database import feedback, predictions
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


def test_a_value_of_the_most_levels_is_checked_by_a_schema_that_doubles_them() -> None:
    schema: dict[str, Any] = {"items": {"$ref": "#"}}
    for _ in range(5):
        schema = {"allOf": [schema]}

    value = parse(nested(MOST_LEVELS).encode())
    assert Schema(schema).accept(value) == value


def test_an_answer_that_is_nested_too_deep_is_a_fault_of_the_model() -> None:
    with pytest.raises(Refused, match="handler answered with something nested deeper") as refused:
        _answer_of(200, b'{"prediction": %s}' % nested(MOST_LEVELS).encode())
    assert refused.value.status == 502


@pytest.fixture
def strict() -> Iterator[None]:
    """A database that, as PostgreSQL does, refuses each statement that is given a NUL."""

    def refuse(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "\\x00" in repr(parameters):
            raise sa.exc.DataError(statement, None, ValueError("a string cannot contain NUL (0x00)"))

    sa.event.listen(sa.Engine, "before_cursor_execute", refuse)
    yield
    sa.event.remove(sa.Engine, "before_cursor_execute", refuse)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        (
            "POST",
            "/v1/models/m/feedback",
            {"feedback": [{"prediction_id": "a\0", "label": 1}]},
            404,
            "No prediction of 'm' has the id",
        ),
        ("POST", "/v1/models/%00/feedback", {"feedback": []}, 404, "is served here"),
        ("GET", "/internal/log/predictions?model=%00", None, 200, '{"rows":[],"last_sequence":0}'),
        ("GET", "/internal/routes/%00/history", None, 200, '{"history":[]}'),
        ("DELETE", "/internal/routes/%00", None, 404, "is served here"),
        ("PUT", "/internal/routes/m", ROUTE | {"model_version": "\0"}, 422, "model_version: "),
        (
            "PUT",
            "/internal/routes/m",
            ROUTE | {"run_id": "\0"},
            422,
            "run_id: Value error, has the character",
        ),
        ("PUT", "/internal/routes/m", ROUTE | {"run_id": "r" * 64}, 422, "run_id: "),
        ("PUT", "/internal/routes/m", ROUTE | {"input_example": {"\0": "\0"}}, 200, "input_example"),
        ("POST", "/internal/takebacks", {"sent_by": "\0", "why": "w"}, 422, "sent_by: Value error, has the"),
        (
            "POST",
            "/internal/takebacks",
            {"sent_by": None, "why": "\0"},
            422,
            "why: Value error, has the char",
        ),
        (
            "POST",
            "/internal/takebacks",
            {"sent_by": None, "since": "0001-01-01T00:00:00+23:59", "why": "w"},
            422,
            "since: Value error, is no time of UTC",
        ),
        ("GET", f"/internal/log/predictions?after={2**63}", None, 422, "with at most 18 digits"),
        ("GET", f"/internal/log/predictions?limit={'9' * 5000}", None, 422, "with at most 18 digits"),
    ],
)
def test_what_a_database_cannot_keep_never_reaches_it(
    gateway: TestClient, strict: None, method: str, path: str, body: Any, status: int, said: str
) -> None:
    answer = gateway.request(method, path, json=body, headers=STEPS)

    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_a_prediction_is_found_by_its_id_with_its_labels_and_the_answers_of_a_run_are_counted(
    gateway: TestClient, tmp_path: Any
) -> None:
    times = ["2026-01-05T00:00:00.000000+00:00", "2026-01-06T00:00:00.000000+00:00"]
    row = {"model": "m", "model_version": "1", "run_id": "r", "features": '{"text":"a"}', "prediction": "1"}
    label = {"prediction_id": "p2", "model": "m", "received_at": times[1]}
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.begin() as connection:
        rows = [row | {"prediction_id": f"p{n}", "predicted_at": at} for n, at in enumerate(times, start=1)]
        connection.execute(predictions.insert(), [row | {"latency_seconds": 0.25} for row in rows])
        connection.execute(feedback.insert(), [label | {"label": "0"}, label | {"label": "1"}])
    engine.dispose()

    found = gateway.get("/internal/predictions/p2", headers=STEPS).json()
    counted = gateway.get("/internal/answers/m/r", params={"after": 1}, headers=STEPS).json()

    assert (found["model"], found["features"], found["latency_seconds"]) == ("m", {"text": "a"}, 0.25)
    assert [label["label"] for label in found["labels"]] == [0, 1]
    assert counted == {"rows": 1, "first_at": times[1], "last_at": times[1]}
    assert gateway.get("/internal/answers/m/other", headers=STEPS).json()["rows"] == 0
    assert gateway.get("/internal/predictions/p3", headers=STEPS).status_code == 404
    assert gateway.get("/internal/predictions/%00", headers=STEPS).status_code == 404
    assert gateway.get("/internal/predictions/p2").status_code == 401, "only for the platform's own steps"
