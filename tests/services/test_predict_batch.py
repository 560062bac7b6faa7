"""Many predictions in one request, on the real TorchServe: each instance by itself, in lines, in the log."""

import contextlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from tasks.release import deploy
from tasks.serving.backend import serving_backend
from tests.services.conftest import Model, Platform, new_model, until


def send(platform: Platform, model: Model, body: bytes, **headers: str) -> requests.Response:
    kind = {"Content-Type": "application/x-ndjson"} | headers
    url = f"{platform.gateway_url}/v1/models/{model.name}:predict_batch"
    return requests.post(url, data=body, headers=kind, timeout=120)


def lines(*instances: Any) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in instances)


def told(answer: requests.Response) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    *items, end = [json.loads(line) for line in answer.text.splitlines()]
    assert [item["index"] for item in items] == list(range(len(items)))
    assert end["done"] is True
    return items, end


def test_each_instance_is_answered_or_refused_by_itself(platform: Platform, steady: Model) -> None:
    before = len(platform.logged("predictions", steady.name))
    body = lines({"text": "a"}, {"text": "refuse"}, {"text": 5}, {"text": "fail"}, {"text": "abcd"})
    answer = send(
        platform, steady, body + b"\n\n{\n" + b'{"text": "' + b"x" * 99 + b'"}\n' + b"[" * 200 + b"\n"
    )
    items, end = told(answer)

    assert [item.get("status", 200) for item in items] == [200, 422, 422, 500, 200, 400, 422, 400]
    assert (items[4]["prediction"], items[4]["score"]) == ("one", 0.004)
    assert [item.get("line") for item in items] == [None, 2, 3, 4, None, 7, 8, 9], "empty lines count"
    assert "refuses the instance: This text is refused" in items[1]["error"]
    assert "text: 5 is not of type 'string'" in items[2]["error"]
    assert (end["predictions"], end["errors"], end["model_version"]) == (2, 6, "1")
    logged = platform.logged("predictions", steady.name)[before:]
    assert [row["prediction_id"] for row in logged] == [items[0]["prediction_id"], items[4]["prediction_id"]]
    assert [row["features"] for row in logged] == [{"text": "a"}, {"text": "abcd"}]


def test_ten_thousand_instances_come_back_in_order_and_are_all_logged(
    platform: Platform, steady: Model
) -> None:
    texts = ["a" * (1 + number % 40) for number in range(10_000)]
    items, end = told(send(platform, steady, lines(*({"text": text} for text in texts))))

    assert end["predictions"] == 10_000
    assert [item["score"] for item in items] == [len(text) / 1000 for text in texts]
    assert len({item["prediction_id"] for item in items}) == 10_000
    counted = platform.internal("GET", f"/answers/{steady.name}/{end['run_id']}").json()
    assert counted["rows"] >= 10_000


def test_a_json_body_says_the_same_and_a_trace_is_kept(platform: Platform, steady: Model) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = json.dumps({"instances": [{"text": "a"}, {"text": ""}]}).encode()
    sent = {"Content-Type": "application/json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = send(platform, steady, body, **sent)
    items, end = told(answer)

    assert (end["predictions"], end["errors"]) == (1, 1)
    assert answer.headers["traceparent"] == sent["traceparent"]
    assert platform.internal("GET", f"/predictions/{items[0]['prediction_id']}").json()["trace_id"] == trace
    assert items[1]["status"] == 422


@pytest.mark.parametrize(
    ("body", "kind", "status", "sentence"),
    [
        (b"", "application/x-ndjson", 422, "has no line"),
        (b"\n \n", "application/x-ndjson", 422, "has no line"),
        (b"1\n" * 10_001, "application/x-ndjson", 422, "has 10001 lines; at most 10000"),
        (b" " * ((16 << 20) + 1), "application/x-ndjson", 413, "larger than 16777216 bytes"),
        (b"{}", "application/json", 422, "'instances'"),
        (b"{", "application/json", 400, "not JSON"),
        (b"a", "text/plain", 415, "Content-Type: application/x-ndjson or Content-Type: application/json"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(
    platform: Platform, steady: Model, body: bytes, kind: str, status: int, sentence: str
) -> None:
    answer = send(platform, steady, body, **{"Content-Type": kind})
    assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.text


def test_who_hangs_up_leaves_room_for_the_next(platform: Platform, steady: Model) -> None:
    body = lines(*({"text": "sleep 0.03"} for _ in range(128)))
    url = f"{platform.gateway_url}/v1/models/{steady.name}:predict_batch"
    for _ in range(10):  # more than are worked on at once
        with pytest.raises((requests.Timeout, requests.ConnectionError)):
            requests.post(url, data=body, headers={"Content-Type": "application/x-ndjson"}, timeout=0.1)
    until(lambda: told(send(platform, steady, lines({"text": "a"})))[1]["predictions"] == 1)


def test_too_many_batches_at_once_are_refused_and_told_when_to_come_again(
    platform: Platform, steady: Model
) -> None:
    body = lines(*({"text": "sleep 0.04"} for _ in range(16)))
    with ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(lambda _: send(platform, steady, body), range(16)))
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers.get("Retry-After") for answer in answers} == {None, "5"}
    until(lambda: told(send(platform, steady, lines({"text": "a"})))[1]["predictions"] == 1)


@pytest.fixture(params=["torchserve", "oip"])
def fragile(request: pytest.FixtureRequest, platform: Platform, settled: Path) -> Iterator[Model]:
    """A model whose callers wait hardly longer than its worker needs to start again."""
    made = new_model(settled, backend=request.param, timeout_seconds=4)
    made.deploy("one")
    yield made
    made.remove()


@pytest.mark.parametrize("deadly", [(0,), (5, 41)])
def test_only_the_instance_that_kills_its_worker_fails(
    platform: Platform, fragile: Model, deadly: tuple[int, ...]
) -> None:
    texts = ["die" if number in deadly else "a" for number in range(128)]
    items, end = told(send(platform, fragile, lines(*({"text": text} for text in texts))))

    assert {item["index"]: item["error"] for item in items if "error" in item}.keys() == set(deadly)
    assert {items[number]["status"] for number in deadly} == {503}
    assert (end["predictions"], end["errors"]) == (128 - len(deadly), len(deadly))


def test_while_the_backend_is_away_the_rest_of_a_batch_is_not_asked(
    platform: Platform, steady: Model
) -> None:
    platform.torchserve.kill()
    try:
        items, end = told(send(platform, steady, lines(*({"text": "a"} for _ in range(1000)))))
    finally:
        platform.torchserve.start()
    assert (end["predictions"], end["errors"]) == (0, 1000)
    assert {item["status"] for item in items} <= {503, 504}
    until(lambda: told(send(platform, steady, lines({"text": "a"})))[1]["predictions"] == 1)


# --- with tokens: from here to the end of the file ----------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(services: Platform, steady: Model) -> Iterator[Platform]:
    """The gateway where who asks needs a token, and has a limit."""
    tokens = "shop=a-token-of-the-shop,bank=a-token-of-the-bank"
    with services.listening(PREDICTION_TOKENS=tokens, RATE_LIMIT="3/second"):
        yield services
        with contextlib.closing(sqlite3.connect(services.database_file)) as database, database:
            database.execute("DELETE FROM tokens")  # a gateway that ever had one asks for one


def limited(platform: Platform, name: str, rate: str) -> dict[str, str]:
    """What bears a new token with a limit of its own."""
    token = f"a-token-of-the-{name}"
    grant = {"name": name, "sha256": sha256(token.encode()).hexdigest(), "scopes": ["predict"]}
    made = platform.internal("POST", "/tokens", json=grant | {"rate": rate, "made_by": "tests"})
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {token}"}


def test_only_a_token_that_may_predict_asks_and_a_batch_is_no_way_around_its_limit(
    guarded: Platform, steady: Model
) -> None:
    assert send(guarded, steady, b"{}").status_code == 401
    body = lines(*({"text": "a"} for _ in range(400)))
    answer = send(guarded, steady, body, Authorization="Bearer a-token-of-the-shop")
    items, end = told(answer)
    assert end["predictions"] == 400
    assert answer.elapsed.total_seconds() < 60
    last = guarded.internal("GET", f"/predictions/{items[-1]['prediction_id']}").json()
    assert last["sent_by"] == "shop"


def test_one_token_that_sends_slowly_leaves_places_to_others(guarded: Platform, steady: Model) -> None:
    head = (
        f"POST /v1/models/{steady.name}:predict_batch HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer a-token-of-the-shop\r\nContent-Type: application/x-ndjson\r\n"
        "Content-Length: 100\r\n\r\nx"
    )
    with ExitStack() as slow:
        where = ("127.0.0.1", int(guarded.gateway_url.rpartition(":")[2]))
        for _ in range(10):
            slow.enter_context(socket.create_connection(where)).sendall(head.encode())

        def ask(name: str) -> requests.Response:
            return send(guarded, steady, lines({"text": "a"}), Authorization=f"Bearer a-token-of-the-{name}")

        until(lambda: ask("shop").status_code == 503, what="the shop to hold its places")
        assert "2 batches of the token 'shop'" in ask("shop").json()["error"]
        assert told(ask("bank"))[1]["predictions"] == 1


def test_a_batch_that_waits_for_its_limit_keeps_its_version_through_two_promotions(
    guarded: Platform, settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "DRAIN_SECONDS", 1.0)
    model = new_model(settled)
    model.deploy("one")
    instances = [{"text": "a"}] * (64 * 3)
    bearer = limited(guarded, "patient", "1/4 second")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(send, guarded, model, lines(*instances), **bearer)
        until(lambda: len(guarded.logged("predictions", model.name)) >= 64)
        model.deploy("two")
        model.deploy("three")
        items, end = told(asked.result())

    assert {item.get("prediction") for item in items} == {"one"}
    assert (end["model_version"], end["errors"]) == ("1", 0)
    model.deploy("four")
    assert len(serving_backend("torchserve").describe(model.name)) == 2, "the others are unloaded afterwards"
    model.remove()
