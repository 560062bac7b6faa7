"""What a version does not answer is tried again: alone, in turn, not for ever, and within a budget."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from perennial_gateway.app import application
from perennial_gateway.backends import budget
from starlette.testclient import TestClient

from tests.unit.gateway.models import STEPS, Models, route, serving
from tests.unit.gateway.test_settings import settings

DIED = {"status": 500, "message": "Worker died."}
FAULT = {"status": 503, "message": "No room."}


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[TestClient]:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    app = application(settings(gateway_database_url=url, torchserve_inference_url=models.url))
    with TestClient(app) as client:
        assert client.put("/internal/routes/m", json=route("1"), headers=STEPS).status_code == 200
        yield client


def ask(gateway: TestClient) -> Any:
    return gateway.post("/v1/models/m/predict", json={"instances": [{"text": "a"}]})


def counted(gateway: TestClient, name: str) -> float:
    found = re.search(
        rf'^{name}_total{{model="m",model_version="1"}} (\S+)$', gateway.get("/metrics").text, re.M
    )
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(("answer", "tries"), [(DIED, 2), (FAULT, 3)])
def test_who_kills_a_worker_alone_gets_no_third_one(
    gateway: TestClient, models: Models, answer: dict[str, Any], tries: int
) -> None:
    models.add("1", answer)
    refused = ask(gateway)
    assert (refused.status_code, models.asked["1"]) == (503, tries)
    assert answer["message"] in refused.json()["error"]


def test_who_waits_behind_a_fault_is_answered_as_soon_as_it_has_passed(
    gateway: TestClient, models: Models
) -> None:
    models.versions["1"] = lambda _: DIED if models.asked["1"] == 1 else {"prediction": 1, "score": 0.5}
    assert ask(gateway).status_code == 200
    assert models.asked["1"] == 2


def test_a_caller_whose_time_is_over_after_a_fault_is_told_of_the_fault(
    gateway: TestClient, models: Models
) -> None:
    def answer(_instance: dict[str, Any]) -> Any:
        time.sleep(0 if models.asked["1"] == 1 else 1)
        return FAULT

    models.versions["1"] = answer
    headers = {"X-Request-Timeout": "0.3"}
    body = {"instances": [{"text": "a"}]}
    refused = gateway.post("/v1/models/m/predict", json=body, headers=headers)
    assert (refused.status_code, "No room." in refused.json()["error"]) == (503, True)


def test_an_outage_is_not_multiplied_and_what_is_withheld_is_counted(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MOST", 5.0)
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    app = application(settings(gateway_database_url=url, torchserve_inference_url=models.url))
    models.add("1", FAULT)
    began = time.monotonic()
    with TestClient(app) as client:
        client.put("/internal/routes/m", json=route("1"), headers=STEPS)
        before = counted(client, "perennial_gateway_backend_retries")
        withheld = counted(client, "perennial_gateway_backend_retries_withheld")
        with ThreadPoolExecutor(20) as callers:
            statuses = {answer.status_code for answer in callers.map(lambda _: ask(client), range(100))}
        retries = counted(client, "perennial_gateway_backend_retries") - before
        withheld = counted(client, "perennial_gateway_backend_retries_withheld") - withheld
    earned = 5 + budget.SHARE * 100 + budget.A_SECOND * (time.monotonic() - began)

    assert statuses == {503}
    assert models.asked["1"] == 100 + retries
    assert 0 < retries <= earned
    assert retries + withheld == 200
