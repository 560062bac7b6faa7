"""The gateway says of itself what can be asked and answered, from the schemas that it checks with."""

import base64
import html
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from perennial_gateway.app import application
from starlette.testclient import TestClient

from tests.unit.gateway.test_app import ROUTE, STEPS
from tests.unit.gateway.test_settings import settings
from tests.unit.gateway.test_tokens import make, said

OTHER = ROUTE | {
    "model": "other",
    "model_version": "<b>2</b>",
    "input_schema": {
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/n"}},
        "$defs": {"n": {"minimum": 0}},
    },
    "label_schema": {"enum": ["</pre><script>alert(1)</script>"]},
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[TestClient]:
    app = application(settings(gateway_database_url=f"sqlite:///{tmp_path / 'gateway.db'}"))
    with TestClient(app) as client:
        for route in (ROUTE, OTHER):
            assert (
                client.put(f"/internal/routes/{route['model']}", json=route, headers=STEPS).status_code == 200
            )
        yield client


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, of in document["paths"].items() for method, each in of.items()]


def test_every_status_of_every_call_is_declared_with_its_body(gateway: TestClient) -> None:
    document = gateway.get("/openapi.json").json()
    for path, method, operation in operations(document):
        answers = operation["responses"]
        assert {"500", "503"} <= set(answers), (path, method)
        for status, answer in answers.items():
            assert answer["description"], (path, status)
            assert status == "204" or answer["content"], (path, status)
            if status >= "4":
                assert answer["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Error"
    assert {"429", "502", "503", "504"} <= set(document["paths"]["/v1/models/m/predict"]["post"]["responses"])
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_path_that_is_named_is_there(gateway: TestClient) -> None:
    document = gateway.get("/openapi.json").json()
    for path, method, _ in operations(document):
        answer = gateway.request(method, path, json={})
        assert answer.status_code not in {404, 405}, (path, answer.text)


def test_a_models_document_has_the_schemas_that_are_checked_with(gateway: TestClient) -> None:
    document = gateway.get("/v1/models/m/openapi.json").json()
    body = document["paths"]["/v1/models/m/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["instances"]["items"] == ROUTE["input_schema"]
    assert document["info"]["version"] == "1"
    assert all(path.startswith("/v1/models/m") for path in document["paths"])
    assert gateway.get("/v1/models/none/openapi.json").status_code == 404


def test_a_schema_that_refers_to_its_own_parts_still_does(gateway: TestClient) -> None:
    document = gateway.get("/openapi.json").json()
    body = document["paths"]["/v1/models/other/predict"]["post"]["requestBody"]["content"]["application/json"]
    valid = Draft202012Validator({"$id": "urn:document", "allOf": [body["schema"]]}).is_valid
    assert valid({"instances": [{"n": 1}]})
    assert not valid({"instances": [{"n": -1}]})


def test_a_token_is_named_where_one_is_asked_for(gateway: TestClient) -> None:
    assert gateway.get("/openapi.json").json()["security"] == []
    make(gateway)
    document = gateway.get("/openapi.json").json()
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert said(gateway, "GET", "/v1/models/m/openapi.json", None)[0] == 200, "a browser sends no token"
    assert said(gateway, "GET", "/v1/models/m/predictions", None)[0] == 401


@pytest.mark.parametrize("path", ["/", "/v1/models/m/docs", "/v1/models/other/docs"])
def test_a_page_loads_nothing_and_escapes_what_a_model_says(gateway: TestClient, path: str) -> None:
    answer = gateway.get(path)
    policy, page = answer.headers["Content-Security-Policy"], answer.text
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)

    assert "default-src 'none'" in policy
    assert len(styles) == 1
    assert f"'sha256-{base64.b64encode(sha256(styles[0].encode()).digest()).decode()}'" in policy
    assert not re.search(r"<script|<link|<img|<b>|https?://(?!testserver)", page)


def test_an_example_of_lines_is_shown_as_it_is_sent(gateway: TestClient) -> None:
    route = ROUTE | {"input_example": {"text": "such as this"}}
    gateway.put("/internal/routes/m", json=route, headers=STEPS)
    page = html.unescape(gateway.get("/v1/models/m/docs").text)
    [line] = re.findall(r"<pre>(.*)</pre>\n<details><summary>The body as <code>application/x-ndjson", page)
    assert json.loads(line) == {"text": "such as this"}


def test_the_page_of_a_model_tells_every_call_and_status(gateway: TestClient) -> None:
    page = gateway.get("/v1/models/other/docs").text
    document = gateway.get("/v1/models/other/openapi.json").json()
    for path, method, operation in operations(document):
        assert f"{method.upper()} {path}" in page
        assert all(f"<code>{status}</code>" in page for status in operation["responses"])
    assert "/v1/models/other/docs" in gateway.get("/").text
