"""What Prometheus is told of MLflow's answers: how long they took and how they came out, and no more."""

import importlib.util
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from embedded.ports import free_port
from tests.conftest import PROJECT


@cache
def counted() -> ModuleType:
    """The module, which is a file of the image and of no package."""
    place = PROJECT / "containers" / "mlflow" / "counted.py"
    spec = importlib.util.spec_from_file_location("mlflow_counted", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def answer(request: Request) -> Response:
    if request.url.path == "/breaks":
        raise RuntimeError("It breaks.")
    return PlainTextResponse("Answered.", 404 if request.url.path == "/nothing" else 200)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(registry: CollectorRegistry) -> TestClient:
    routes = [Route(path, answer, methods=["GET", "POST", "BREW"]) for path in ("/", "/nothing", "/breaks")]
    app: Callable[..., Any] = counted().Counted(Starlette(routes=routes), registry)
    return TestClient(app, raise_server_exceptions=False)


def counts(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["method"], sample.labels["status"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "mlflow_request_seconds_count"
    }


def test_answers_are_counted_by_method_and_status(client: TestClient, registry: CollectorRegistry) -> None:
    for method, path in (("GET", "/"), ("POST", "/"), ("GET", "/"), ("GET", "/nothing"), ("GET", "/breaks")):
        client.request(method, path)
    expected = {("GET", "200"): 2, ("POST", "200"): 1, ("GET", "404"): 1, ("GET", "500"): 1}
    assert counts(registry) == expected


def test_words_that_are_no_methods_make_no_series_of_their_own(
    client: TestClient, registry: CollectorRegistry
) -> None:
    for word in ("BREW", "STEEP", "POUR"):
        client.request(word, "/")
    assert {method for method, _ in counts(registry)} == {"other"}


def test_prometheus_is_answered_at_a_port_of_its_own() -> None:
    port = free_port()
    counted().Counted(None)
    counted().tell("127.0.0.1", port)
    assert "mlflow_request_seconds" in requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
