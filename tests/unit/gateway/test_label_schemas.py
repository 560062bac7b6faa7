"""A label is checked by the schema of the version that made the prediction, whichever serves now."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.unit.gateway.models import STEPS, Models, route, serving, split
from tests.unit.gateway.test_splits import started

NUMBERS, CLASSES, TEXTS = {"type": "number"}, {"type": "integer", "enum": [0, 1]}, {"type": "string"}
BY = "X-Perennial-Version"


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        made.add("2", 1.5)
        made.add("3", "three")
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[TestClient]:
    """Version 1 serves, version 2 is its candidate, and their labels are of two kinds."""
    with started(models, tmp_path) as client:
        deploy(client, "1", CLASSES)
        candidate = split("2", candidate=route("2", label_schema=NUMBERS), share=0.0)
        assert client.put("/internal/splits/m", json=candidate, headers=STEPS).status_code == 200
        yield client


def deploy(gateway: TestClient, version: str, labels: dict[str, Any]) -> None:
    document = route(version, label_schema=labels)
    assert gateway.put("/internal/routes/m", json=document, headers=STEPS).status_code == 200


def predicted(gateway: TestClient, version: str) -> str:
    body = {"instances": [{"text": "a"}]}
    answer = gateway.post("/v1/models/m/predict", json=body, headers={BY: version})
    prediction_id: str = answer.json()["predictions"][0]["prediction_id"]
    return prediction_id


def tell(gateway: TestClient, *labels: tuple[str, Any]) -> Any:
    items = [{"prediction_id": prediction_id, "label": label} for prediction_id, label in labels]
    return gateway.post("/v1/models/m/feedback", json={"feedback": items})


def test_each_label_of_a_request_is_checked_by_the_version_that_answered(gateway: TestClient) -> None:
    stable, candidate = predicted(gateway, "1"), predicted(gateway, "2")

    assert tell(gateway, (stable, 1), (candidate, 2)).status_code == 202
    rows = gateway.get("/internal/log/feedback?model=m", headers=STEPS).json()["rows"]
    assert [repr(row["label"]) for row in rows] == ["1", "2.0"]
    refused = tell(gateway, (candidate, 2.5), (stable, 2.5))
    assert (refused.status_code, refused.json()["item"]) == (422, 1)
    assert "label schema of version 1: 2.5 is not" in refused.json()["error"]
    assert "version 2: 'x' is not" in tell(gateway, (candidate, "x")).json()["error"]


def test_a_version_that_has_gone_keeps_its_schema_and_a_new_route_of_it_changes_that(
    gateway: TestClient,
) -> None:
    stable, candidate = predicted(gateway, "1"), predicted(gateway, "2")
    deploy(gateway, "3", TEXTS)

    assert tell(gateway, (stable, 0), (candidate, 1.5)).status_code == 202
    assert tell(gateway, (stable, "text")).status_code == 422
    deploy(gateway, "1", TEXTS)
    assert tell(gateway, (stable, "text")).status_code == 202
    deploy(gateway, "3", TEXTS)
    assert tell(gateway, (stable, "text")).status_code == 202
    assert tell(gateway, (stable, 1)).status_code == 422


def test_each_version_is_told_by_the_kind_of_its_own_labels(gateway: TestClient) -> None:
    stable, *candidates = predicted(gateway, "1"), predicted(gateway, "2"), predicted(gateway, "2")
    tell(gateway, (stable, 1), *((candidate, 2.5) for candidate in candidates))

    found = gateway.get("/v1/models/m/statistics").json()["versions"]
    told = {row["model_version"]: row for row in found}
    assert (told["1"]["correctness"]["value"], "correctness" in told["2"]) == (1.0, False)
    assert told["2"]["mean_absolute_error"]["value"] == 1.0
