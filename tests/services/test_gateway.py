"""The gateway in front of the real TorchServe: what it
answers, what it refuses, and that it keeps what it told.
"""

import json
import re
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from tests.services.conftest import TOKEN, Model, Platform, load_on


def test_a_prediction_names_its_version_and_run_and_is_in_the_log(platform: Platform, steady: Model) -> None:
    answer = platform.predict(steady.name, "hello", "you").json()
    assert (answer["model"], answer["model_version"], len(answer["predictions"])) == (steady.name, "1", 2)
    first = answer["predictions"][0]
    assert (first["prediction"], first["score"]) == ("one", 0.005)
    row = next(
        row
        for row in platform.logged("predictions", steady.name)
        if row["prediction_id"] == first["prediction_id"]
    )
    assert (row["features"], row["prediction"], row["score"]) == ({"text": "hello"}, "one", 0.005)
    assert (row["model_version"], row["run_id"]) == (answer["model_version"], answer["run_id"])
    age = datetime.now(UTC) - datetime.fromisoformat(row["predicted_at"])
    assert abs(age.total_seconds()) < 60


def test_the_probability_of_each_class_is_told_where_the_model_gives_it(
    platform: Platform, steady: Model
) -> None:
    several, one = platform.predict(steady.name, "several classes", "hello").json()["predictions"]

    assert several["scores"] == {"one": 0.75, "two": 0.25}
    assert "scores" not in one


def test_an_answer_is_explained_by_leaving_out_each_word_and_nothing_of_it_is_logged(
    platform: Platform, steady: Model
) -> None:
    before = len(platform.logged("predictions", steady.name))
    told = platform.post(
        f"/v1/models/{steady.name}/explain", {"instance": {"text": "so hello to you"}}
    ).json()
    effects = {part["value"]: round(part["effect"], 6) for part in told["parts"]}
    assert effects == {"so": 0.002, "hello": 0.006, "to": 0.003, "you": 0.003}, "a thousandth of their length"
    assert (told["model_version"], told["prediction"], told["score"]) == ("1", "one", 0.015)
    classes = platform.post(f"/v1/models/{steady.name}/explain", {"instance": {"text": "several classes"}})
    assert (classes.json()["figure"], classes.json()["score"]) == ("scores", 0.015)
    assert len(platform.logged("predictions", steady.name)) == before
    page = requests.get(f"{platform.gateway_url}/v1/models/{steady.name}/page", timeout=30)
    assert (page.status_code, 'data-kind="' in page.text) == (200, True)


MALFORMED = {
    "not JSON": (b"{", 400, "not JSON"),
    "not UTF-8": (b'{"instances": [{"text": "\xff"}]}', 400, "not JSON"),
    "NaN": (b'{"instances": [{"text": NaN}]}', 400, "not JSON"),
    "nothing": (b"", 400, "not JSON"),
    "a list": (b"[]", 422, "not a JSON object"),
    "no instances": (b"{}", 422, "'instances'"),
    "another field": (b'{"instances": [{"text": "a"}], "version": 3}', 422, "'version'"),
    "an empty list": (b'{"instances": []}', 422, "at least one"),
    "an object for the list": (b'{"instances": {"text": "a"}}', 422, "not a list"),
    "65 instances": (json.dumps({"instances": [{"text": "a"}] * 65}).encode(), 422, "at most 64"),
    "a missing field": (
        b'{"instances": [{"text": "a"}, {}]}',
        422,
        "Instance 1 breaks.*'text' is a required property",
    ),
    "a wrong type": (
        b'{"instances": [{"text": 5}]}',
        422,
        "Instance 0 breaks.*text: 5 is not of type 'string'",
    ),
    "an empty text": (b'{"instances": [{"text": ""}]}', 422, "Instance 0 breaks.*text: '' "),
    "a long text": (
        json.dumps({"instances": [{"text": "a" * 9000}]}).encode(),
        422,
        r"9002 characters\) is too long",
    ),
    "a field too much": (b'{"instances": [{"text": "a", "sex": 1}]}', 422, "'sex' was unexpected"),
    "an instance that is text": (b'{"instances": ["a"]}', 422, "Instance 0 breaks.*not of type 'object'"),
    "2 MiB": (b" " * (2 << 20), 413, "larger than 1048576 bytes"),
    "what the model refuses": (
        b'{"instances": [{"text": "a"}, {"text": "refuse"}]}',
        422,
        "refuses instance 1: This text is refused",
    ),
    "what the model fails on": (
        b'{"instances": [{"text": "a"}, {"text": "fail"}]}',
        500,
        "failed on instance 1: .*KeyError",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_hears_what_is_wrong_and_leaves_no_trace(
    platform: Platform, steady: Model, case: str
) -> None:
    body, status, sentence = MALFORMED[case]
    before = len(platform.logged("predictions", steady.name))
    url = f"{platform.gateway_url}/v1/models/{steady.name}/predict"
    answer = requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == status, answer.text
    assert "error" in answer.json()
    assert re.search(sentence, answer.json()["error"]), answer.json()["error"]
    assert len(platform.logged("predictions", steady.name)) == before


def test_other_content_types_methods_and_places_are_refused(platform: Platform, steady: Model) -> None:
    url = f"{platform.gateway_url}/v1/models/{steady.name}/predict"
    form = requests.post(
        url, data="a=1&" * 1000, headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=30
    )
    assert (form.status_code, "Content-Type: application/json" in form.json()["error"]) == (415, True)
    get = requests.get(url, timeout=30)
    assert (get.status_code, get.headers["Allow"]) == (405, "POST")
    unknown = platform.predict("no_such_model", "a")
    assert unknown.status_code == 404
    assert steady.name in unknown.json()["models"]
    assert requests.get(f"{platform.gateway_url}/v2/models", timeout=30).status_code == 404


def test_a_model_that_is_too_slow_is_answered_with_504(platform: Platform, steady: Model) -> None:
    started = time.monotonic()
    answer = platform.predict(steady.name, "sleep 4")
    assert (answer.status_code, answer.headers["Retry-After"]) == (504, "2")
    assert time.monotonic() - started < 3.9
    time.sleep(1.1)  # the worker wakes up


def test_an_instance_that_kills_its_worker_is_refused_and_the_model_recovers(
    platform: Platform, steady: Model
) -> None:
    answer = platform.predict(steady.name, "die")
    assert answer.status_code in {503, 504}
    assert answer.headers["Retry-After"] == "2"
    for _ in range(60):
        if platform.predict(steady.name, "hello").status_code == 200:
            return
        time.sleep(0.5)
    pytest.fail("the model did not come back within 30 seconds")


def test_labels_come_back_after_the_gateway_was_killed_and_the_last_one_counts(
    platform: Platform, steady: Model
) -> None:
    route = platform.internal("GET", f"/routes/{steady.name}").json()
    told = [
        each["prediction_id"] for each in platform.predict(steady.name, "one", "two").json()["predictions"]
    ]
    platform.gateway.kill()
    platform.gateway.start()
    assert platform.internal("GET", f"/routes/{steady.name}").json() == route
    labels = [
        {"prediction_id": told[0], "label": 1},
        {"prediction_id": told[1], "label": 0},
        {"prediction_id": told[0], "label": 0},
    ]
    answer = platform.post(f"/v1/models/{steady.name}/feedback", {"feedback": labels})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 3})
    found = [(row["prediction_id"], row["label"]) for row in platform.logged("feedback", steady.name)[-3:]]
    assert found == [(told[0], 1), (told[1], 0), (told[0], 0)]


@pytest.mark.parametrize(
    ("item", "status", "sentence"),
    [
        ({"prediction_id": "nobody", "label": 1}, 404, "No prediction of .* has the id 'nobody'"),
        ({"prediction_id": "TOLD", "label": 2}, 422, "label of item 1 breaks.*2 is not one of"),
        ({"prediction_id": "TOLD", "label": True}, 422, "label of item 1 breaks.*true is not"),
        ({"prediction_id": "TOLD"}, 422, "Item 1 is not an object with exactly"),
        ({"prediction_id": 7, "label": 1}, 422, "Item 1 is not an object with exactly"),
        ("label", 422, "Item 1 is not an object with exactly"),
    ],
)
def test_one_wrong_label_refuses_the_whole_request(
    platform: Platform, steady: Model, item: Any, status: int, sentence: str
) -> None:
    told = platform.predict(steady.name, "one").json()["predictions"][0]["prediction_id"]
    if isinstance(item, dict) and item.get("prediction_id") == "TOLD":
        item = item | {"prediction_id": told}
    before = len(platform.logged("feedback", steady.name))
    answer = platform.post(
        f"/v1/models/{steady.name}/feedback", {"feedback": [{"prediction_id": told, "label": 1}, item]}
    )
    assert (answer.status_code, bool(re.search(sentence, answer.json()["error"]))) == (status, True), (
        answer.text
    )
    assert len(platform.logged("feedback", steady.name)) == before


def test_routes_are_for_the_steps_alone(platform: Platform, steady: Model) -> None:
    url = f"{platform.gateway_url}/internal/routes/{steady.name}"
    for token in ("", "Bearer ", "Bearer wrong", f"Basic {TOKEN}"):
        assert requests.get(url, headers={"Authorization": token}, timeout=30).status_code == 401
        assert requests.delete(url, headers={"Authorization": token}, timeout=30).status_code == 401
    route = platform.internal("GET", f"/routes/{steady.name}").json()
    wrong = platform.internal("PUT", "/routes/another", json=route)
    assert (wrong.status_code, "was put for 'another'" in wrong.json()["error"]) == (422, True)
    broken = platform.internal(
        "PUT", f"/routes/{steady.name}", json=route | {"input_schema": {"type": "nonsense"}}
    )
    assert (broken.status_code, "not a JSON Schema" in broken.json()["error"]) == (422, True)
    assert platform.internal("GET", f"/routes/{steady.name}").json() == route


def test_every_prediction_that_was_told_is_in_the_log_after_kill_9(platform: Platform, steady: Model) -> None:
    with load_on(platform, steady.name, per_second=100) as load:
        time.sleep(1.5)
        platform.gateway.kill()
        time.sleep(0.2)
        platform.gateway.start()
        time.sleep(0.5)
    logged = {row["prediction_id"] for row in platform.logged("predictions", steady.name)}
    assert len(load.ids) > 50
    assert load.faults, "the gateway was not killed under load"
    assert load.ids <= logged
    assert load.refusals == []


def test_a_stop_finishes_the_requests_that_are_under_way(platform: Platform, steady: Model) -> None:
    answers: list[requests.Response] = []
    asking = threading.Thread(target=lambda: answers.append(platform.predict(steady.name, "sleep 1")))
    asking.start()
    time.sleep(0.4)
    platform.gateway.signal(signal.SIGTERM)
    asking.join()
    platform.gateway.ended()
    assert answers[0].status_code == 200
    platform.gateway.start()
    told = answers[0].json()["predictions"][0]["prediction_id"]
    assert told in {row["prediction_id"] for row in platform.logged("predictions", steady.name)}


def test_the_page_the_models_and_the_metrics_tell_what_serves(platform: Platform, steady: Model) -> None:
    platform.predict(steady.name, "hello")
    page = requests.get(platform.gateway_url, timeout=30)
    assert page.headers["Content-Type"].startswith("text/html")
    run_id = requests.get(f"{platform.gateway_url}/v1/models/{steady.name}", timeout=30).json()["run_id"]
    assert run_id in page.text
    assert f"curl -X POST {platform.gateway_url}/v1/models/{steady.name}/predict" in page.text
    assert "http" not in page.text.replace(platform.gateway_url, "")
    named = [
        each["model"]
        for each in requests.get(f"{platform.gateway_url}/v1/models", timeout=30).json()["models"]
    ]
    assert steady.name in named
    metrics = requests.get(f"{platform.gateway_url}/metrics", timeout=30).text
    assert (
        f'perennial_gateway_predict_seconds_bucket{{le="0.1",model="{steady.name}",model_version="1"}}'
        in metrics
    )


@pytest.mark.parametrize(
    ("schema", "label"),
    [
        ({"type": "integer", "enum": [0, 1]}, 1),
        ({"type": "number", "minimum": -20}, -20),
        ({"type": "integer"}, 0),
        ({"type": "number", "examples": [12.5]}, 12.5),
        ({"type": "string"}, "<label>"),
    ],
)
def test_the_page_shows_a_label_that_the_service_would_take(schema: dict[str, Any], label: object) -> None:
    from perennial_gateway.page import example_label

    assert example_label(schema) == label


def test_a_gateway_without_a_token_does_not_start(platform: Platform) -> None:
    command, environment = (
        platform.gateway.command,
        platform.gateway.environment | {"PERENNIAL_GATEWAY_TOKEN": ""},
    )
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode != 0
    assert "PERENNIAL_GATEWAY_TOKEN" in ended.stderr
