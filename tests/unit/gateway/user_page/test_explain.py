"""An explanation is asked of the version that answered, and leaves no trace among predictions."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from perennial_gateway.app import application
from perennial_gateway.backends.base import CALL_BYTES
from perennial_gateway.routes import Route, Served
from perennial_gateway.user_page.explain import _asked
from starlette.testclient import TestClient

from tests.unit.gateway.models import STEPS, Models, route, serving, split
from tests.unit.gateway.test_settings import settings
from tests.unit.gateway.test_tokens import BANK, SHOP, bearing, make

REVIEW = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 2_000_000}},
    "required": ["text"],
    "additionalProperties": False,
}
REVIEWS = route("1", input_schema=REVIEW, timeout_seconds=60)


def sentiment(instance: dict[str, Any]) -> Any:
    """A model that counts a word, and refuses another."""
    text = instance.get("text", "")
    if "it" not in text.split():
        return {"error": "It needs the word it.", "status": 422}
    return {"prediction": int("good" in text), "score": 0.1 + 0.8 * ("good" in text)}


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as made:
        made.versions["1"] = sentiment
        made.add("2", 1)
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[TestClient]:
    with client(models, tmp_path) as started:
        yield started


def client(models: Models, folder: Path, **changes: Any) -> TestClient:
    url = f"sqlite:///{folder / 'gateway.db'}"
    app = application(settings(gateway_database_url=url, torchserve_inference_url=models.url, **changes))
    started = TestClient(app)
    answer = started.put("/internal/routes/m", json=REVIEWS, headers=STEPS)
    assert answer.status_code == 200, answer.text
    return started


def explain(gateway: TestClient, instance: Any, **how: Any) -> Any:
    return gateway.post("/v1/models/m/explain", json={"instance": instance}, **how)


def test_each_word_has_its_effect_and_one_that_the_model_needs_is_counted(gateway: TestClient) -> None:
    told = explain(gateway, {"text": "it was good"}).json()
    effects = {part["value"]: (round(part["effect"], 6), part["prediction"]) for part in told["parts"]}

    assert effects == {"was": (0, 1), "good": (0.8, 0)}
    assert (told["not_tried"], told["figure"], told["method"]) == (1, "score", "occlusion")
    word = {"field": "text", "value": "it", "start": 0, "end": 2, "reason": "no_answer"}
    assert told["not_tried_parts"] == [word]
    assert (told["model_version"], told["run_id"], told["prediction"]) == ("1", "run-1", 1)


def test_it_answers_as_its_document_says(gateway: TestClient) -> None:
    document = gateway.get("/v1/models/m/openapi.json").json()
    declared = document["paths"]["/v1/models/m/explain"]["post"]["responses"]
    told = explain(gateway, {"text": "it was good"})
    schema = declared["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema).validate(told.json())
    for body in ({}, {"instance": {}}, {"instance": 3}, [], {"instance": {"text": "it"}, "more": 1}):
        refused = gateway.post("/v1/models/m/explain", json=body)
        assert str(refused.status_code) in declared, body
        assert refused.status_code == 422, body


def test_nothing_of_it_is_among_the_predictions(gateway: TestClient) -> None:
    explain(gateway, {"text": "it was good"})
    assert gateway.get("/v1/models/m/statistics").json()["versions"] == []
    assert gateway.get("/v1/models/m/predictions").json()["predictions"] == []
    told = gateway.get("/metrics").text
    assert re.search(
        r'perennial_gateway_requests_total\{endpoint="explain",model="m",status="200"\} [1-9]', told
    )
    assert not re.search(r'perennial_gateway_predictions_total\{model="m",version="1"\} [1-9]', told)


def test_an_instance_that_the_model_refuses_is_refused(gateway: TestClient) -> None:
    answer = explain(gateway, {"text": "good"})
    assert (answer.status_code, "needs the word it" in answer.json()["error"]) == (422, True)


def test_the_version_that_answered_can_be_asked_why(gateway: TestClient, models: Models) -> None:
    opened = split("2", candidate=route("2", input_schema=REVIEW), share=0.5)
    assert gateway.put("/internal/splits/m", json=opened, headers=STEPS).status_code == 200
    for version in ("1", "2"):
        told = explain(gateway, {"text": "it was good"}, headers={"X-Perennial-Version": version}).json()
        assert told["model_version"] == version
    away = explain(gateway, {"text": "it"}, headers={"X-Perennial-Version": "3"})
    assert away.status_code == 404


def test_a_long_text_is_asked_about_in_few_instances(gateway: TestClient, models: Models) -> None:
    told = explain(gateway, {"text": "it " + "word " * 5000}).json()
    assert len(told["parts"]) + told["not_tried"] < 64
    assert models.asked["1"] <= 64


def test_all_that_is_asked_together_is_no_larger_than_one_call(gateway: TestClient, models: Models) -> None:
    make(gateway, body_bytes=4 << 20)
    third = {"text": "it " + "w" * (CALL_BYTES // 3) + " good"}
    told = explain(gateway, third, headers=bearing(SHOP)).json()
    assert len(told["parts"]) + told["not_tried"] == 1, "there is room for one other"
    half = {"text": "it " + "w" * (CALL_BYTES // 2)}
    refused = explain(gateway, half, headers=bearing(SHOP))
    assert (refused.status_code, "cannot be explained" in refused.json()["error"]) == (413, True)


def test_it_takes_a_token_that_may_predict_and_counts_as_one_request(gateway: TestClient) -> None:
    make(gateway, rate="2/minute")
    make(gateway, BANK, name="bank", scopes=["read"])

    assert explain(gateway, {"text": "it"}).status_code == 401
    assert explain(gateway, {"text": "it"}, headers=bearing(BANK)).status_code == 403
    statuses = [explain(gateway, {"text": "it"}, headers=bearing(SHOP)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_the_page_is_shown_to_everybody_and_loads_only_what_the_gateway_has(gateway: TestClient) -> None:
    make(gateway)
    answer = gateway.get("/v1/models/m/page")
    policy = answer.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]*)"', answer.text)

    assert {"default-src 'none'", "script-src 'self'", "trusted-types 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
    assert loaded == ["page.css", "page.js", "docs"]
    assert not re.search(r"<script(?! src)|<style|\sstyle=|\son\w+=", answer.text)
    modules = [
        name
        for each in ("page.js", "page_answer.js", "page_gateway.js")
        for name in re.findall(r'from "\./([^"]*)"', gateway.get(f"/v1/models/m/{each}").text)
    ]
    for file in [*loaded, *modules]:
        assert gateway.get(f"/v1/models/m/{file}").status_code == 200, file
    assert 'href="/v1/models/m/page"' in gateway.get("/").text


def test_the_page_says_what_the_model_does_where_its_schema_does(gateway: TestClient) -> None:
    assert 'id="about"' not in gateway.get("/v1/models/m/page").text
    told = route("1", input_schema=REVIEW | {"description": "Says <b> what it is."})
    assert gateway.put("/internal/routes/m", json=told, headers=STEPS).status_code == 200
    assert '<p id="about">Says &lt;b&gt; what it is.</p>' in gateway.get("/v1/models/m/page").text


def test_the_page_of_a_model_that_serves_nothing_says_so_to_a_person(gateway: TestClient) -> None:
    answer = gateway.get("/v1/models/flight_delay/page")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>flight_delay serves nothing yet</h1>" in answer.text
    assert re.findall(r'(?:src|href)="([^"]*)"', answer.text) == ["page.css", "/"]
    assert gateway.get("/v1/models/flight_delay/page.css").status_code == 200
    assert "<b>" not in gateway.get("/v1/models/<b>x/page").text


def test_an_environment_before_production_has_pages_of_its_own(models: Models, tmp_path: Path) -> None:
    with client(models, tmp_path, release_environments="staging") as gateway:
        assert gateway.get("/staging/v1/models/m/page").status_code == 404
        put = gateway.put(
            "/staging/internal/routes/m", json=REVIEWS | {"run_id": "of-staging"}, headers=STEPS
        )
        assert put.status_code == 200
        assert 'href="page.css"' in gateway.get("/staging/v1/models/m/page").text, "beside it, wherever it is"
        assert gateway.get("/staging/v1/models/m/page.js").status_code == 200
        told = gateway.post("/staging/v1/models/m/explain", json={"instance": {"text": "it was"}}).json()
        assert told["run_id"] == "of-staging"
        assert 'href="/staging/v1/models/m/page"' in gateway.get("/staging/").text


def test_what_a_route_says_is_escaped_wherever_it_stands(gateway: TestClient) -> None:
    evil = "</textarea><script>alert(1)</script>\"'>"
    schema = {
        "type": "object",
        "properties": {
            evil: {"type": "string", "title": evil, "description": evil, "pattern": evil},
            "choice": {"enum": [evil, evil + "2"], "title": evil},
            "deep": {"type": "object", "title": evil, "description": evil},
            "format": {"type": "string", "format": evil},
        },
    }
    changes = {
        "label_schema": {"enum": [evil], "title": evil},
        "input_example": {evil: evil, "deep": {evil: evil}},
    }
    put = route("1", input_schema=schema, run_id="<b>", **changes)
    assert gateway.put("/internal/routes/m", json=put, headers=STEPS).status_code == 200

    page = gateway.get("/v1/models/m/page").text
    assert "alert(1)" in page
    assert page.count("<script") == 1
    assert not re.search(r"<script>|<b>", page)
    keys = re.findall(r'data-key="([^"]*)"', page)
    assert len(keys) == 5


def test_switched_off_there_is_neither_page_nor_explanation(models: Models, tmp_path: Path) -> None:
    with client(models, tmp_path, user_page=False) as gateway:
        for path in ("page", "page.js", "page.css"):
            assert gateway.get(f"/v1/models/m/{path}").status_code == 404
        assert explain(gateway, {"text": "it"}).status_code == 404
        assert not [path for path in gateway.get("/openapi.json").json()["paths"] if "explain" in path]
        assert "/page" not in gateway.get("/").text
        predicted = gateway.post("/v1/models/m/predict", json={"instances": [{"text": "it"}]})
        assert predicted.status_code == 200


def test_a_part_that_the_model_does_not_bear_costs_no_other_its_explanation(
    gateway: TestClient, models: Models
) -> None:
    def brittle(instance: dict[str, Any]) -> Any:
        if "it" not in instance["text"].split():
            return {"message": "Worker died.", "status": 500}
        return float("nan") if "was" not in instance["text"] else sentiment(instance)

    models.versions["1"] = brittle
    answer = explain(gateway, {"text": "it was good"})
    assert answer.status_code == 200, answer.text
    assert [part["value"] for part in answer.json()["parts"]] == ["good"]
    assert answer.json()["not_tried"] == 2


def test_a_version_that_went_while_the_body_was_on_its_way_is_not_asked(
    gateway: TestClient, models: Models
) -> None:
    async def body_after_a_deployment() -> Any:
        new = route("2", input_schema=REVIEW)
        answer = await asyncio.to_thread(gateway.put, "/internal/routes/m", json=new, headers=STEPS)
        assert answer.status_code == 200
        models.versions.pop("1", None)
        return {"type": "http.request", "body": b'{"instance": {"text": "it was good"}}'}

    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    path = "/v1/models/m/explain"
    asked = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": ""}
    more = {"query_string": b"", "headers": [(b"content-type", b"application/json")], "state": {}}
    assert gateway.portal is not None
    gateway.portal.call(gateway.app, asked | more, body_after_a_deployment, send)

    assert told[0]["status"] == 200, told
    assert orjson.loads(told[1]["body"])["model_version"] == "2"


def test_a_value_that_breaks_the_schema_in_many_places_takes_no_long_look(gateway: TestClient) -> None:
    lists = {
        f"f{number}": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"type": "string"}, {"minimum": 0}]},
        }
        for number in range(8)
    }
    schema = {"type": "object", "properties": lists, "required": list(lists)}
    served = Served(Route.model_validate(route("1", input_schema=schema)), "")
    document = {"instance": {name: [1] * 12_000 for name in lists}}

    began = time.process_time()
    asked = _asked(document, served)
    assert (asked.plan.parts, len(asked.plan.untried)) == ([], 8)
    assert time.process_time() - began < 1.5, "it took fifteen where each refusal was put into words"
