"""What the gateway offers, as OpenAPI 3.1: made of the routes' schemas, so that it says what is checked.

Every status that can be answered is declared with its body, the faults (5xx) too: a client, and a test, may
take anything else for a bug.

Source: OpenAPI Specification 3.1.1, OpenAPI Initiative, 24 October 2024.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from perennial_gateway import openapi_calls as calls
from perennial_gateway.openapi_parts import (
    ERROR,
    JSON,
    SUMMARY,
    TEXT,
    listed,
    open_to_all,
    read,
    token,
)
from perennial_gateway.routes import Route


class About(NamedTuple):
    """What is said of the gateway that answers.

    Attributes:
        below: The path below which it answers, such as `/staging`.
        with_token: Whether the calls need a token.
        explains: Whether it explains answers.
    """

    below: str = ""
    with_token: bool = True
    explains: bool = True


def of_model(route: Route, about: About) -> dict[str, Any]:
    """The document of one model."""
    title = f"{route.model}, version {route.model_version}"
    return _document(title, route.model_version, paths_of(route, about), about)


def of_gateway(routes: Iterable[Route], about: About) -> dict[str, Any]:
    """The document of everything that users may ask."""
    paths = {
        "/v1/models": {"get": read("models", "The models that are served.", listed("models", SUMMARY), ())},
        "/v1/token": {"get": token()},
        "/healthz": {"get": open_to_all("healthz", "Whether the gateway is well.", JSON, {"type": "object"})},
        "/metrics": {
            "get": open_to_all("metrics", "Counters and latencies for Prometheus.", "text/plain", TEXT)
        },
        "/openapi.json": {"get": open_to_all("openapi", "This document.", JSON, {"type": "object"})},
    }
    for route in routes:
        paths |= paths_of(route, about)
    return _document("Perennial gateway", "1", paths, about)


def _document(title: str, version: str, paths: Mapping[str, Any], about: About) -> dict[str, Any]:
    bearer = {"type": "http", "scheme": "bearer", "description": "From who runs this platform."}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": about.below or "/"}],
        "paths": dict(paths),
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": {"token": bearer}},
        "security": [{"token": []}] if about.with_token else [],
    }


def paths_of(route: Route, about: About) -> dict[str, Any]:
    """What can be asked of a model."""
    base = f"/v1/models/{route.model}"
    for_people = {
        f"{base}/explain": {"post": calls.explain(route)},
        f"{base}/page": {
            "get": open_to_all(f"{route.model}_page", "The page for its users.", "text/html", TEXT, 404)
        },
    }
    return {
        f"{base}/predict": {"post": calls.predict(route)},
        f"{base}:predict_batch": {"post": calls.predict_batch(route)},
        f"{base}/feedback": {"post": calls.feedback(route)},
        **(for_people if about.explains else {}),
        f"{base}/predictions": {"get": calls.predictions(route)},
        f"{base}/statistics": {"get": calls.statistics(route)},
        base: {"get": read(f"{route.model}_model", "The version that serves, and its schemas.", SUMMARY)},
        f"{base}/openapi.json": {
            "get": open_to_all(
                f"{route.model}_openapi", "This model's own document.", JSON, {"type": "object"}, 404
            )
        },
    }
