"""A prediction that is not in the database yet is late and not unknown: its label is not refused for good."""

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway.database import connect
from starlette.testclient import TestClient

from tests.unit.gateway.models import STEPS, Models, route, serving
from tests.unit.gateway.test_log import hold_a_spool, in_a_process
from tests.unit.gateway.test_splits import started


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[TestClient]:
    with started(models, tmp_path) as client:
        assert client.put("/internal/routes/m", json=route("1"), headers=STEPS).status_code == 200
        yield client


def tell(gateway: TestClient, prediction_id: str) -> Any:
    item = {"prediction_id": prediction_id, "label": 1}
    return gateway.post("/v1/models/m/feedback", json={"feedback": [item]})


def test_a_label_waits_for_what_another_process_has_not_moved_yet(
    gateway: TestClient, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    child = in_a_process(hold_a_spool, url, tmp_path / "gateway.spool", ready, end)
    assert ready.wait(60)

    late = tell(gateway, "1")
    sought = gateway.get("/internal/predictions/1", headers=STEPS)

    assert (late.status_code, late.headers["Retry-After"]) == (503, "5")
    assert sought.status_code == 503
    end.set()
    child.join(60)
    assert tell(gateway, "1").status_code == 202
    assert gateway.get("/internal/predictions/1", headers=STEPS).json()["prediction_id"] == "1"
    assert tell(gateway, "2").status_code == 404


def test_an_id_that_is_of_no_prediction_is_told_so_at_once_while_others_are_kept(gateway: TestClient) -> None:
    body = {"instances": [{"text": "a"}]}
    for _ in range(3):
        assert gateway.post("/v1/models/m/predict", json=body).status_code == 200

        began = time.monotonic()
        assert tell(gateway, "2").status_code == 404
        assert time.monotonic() - began < 0.8


def test_a_label_is_not_refused_for_good_while_the_database_takes_no_rows(
    gateway: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial_gateway.log.SETTLE_SECONDS", 0.5)
    engine = connect(f"sqlite:///{tmp_path / 'gateway.db'}")
    body = {"instances": [{"text": "a"}]}
    with engine.connect() as writer:
        writer.execute(sa.text("BEGIN IMMEDIATE"))  # who only reads is let in
        told = gateway.post("/v1/models/m/predict", json=body).json()["predictions"][0]["prediction_id"]
        assert tell(gateway, told).status_code == 503
        writer.rollback()
    engine.dispose()

    assert tell(gateway, told).status_code == 202
