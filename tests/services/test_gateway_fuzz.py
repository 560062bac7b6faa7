"""Whatever is sent, the gateway answers what its own OpenAPI document declares, and goes on.

What is sent is made by Hypothesis, valid, nearly valid and not at all, for every path of that document.
`schemathesis` would do so, too, but needs an older `jsonschema-rs` than the gateway checks with.
"""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from perennial_gateway.slow import HEAD_SECONDS
from perennial_gateway.web import BODY_SECONDS

from tests.services.conftest import Model, Platform

TOKEN = "a-token-of-the-fuzz"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SOME = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
INSTANCE = st.fixed_dictionaries({"text": st.text(min_size=1, max_size=30)}) | ANYTHING
BODIES = (
    st.fixed_dictionaries({"instances": st.lists(INSTANCE, max_size=4)})
    | st.fixed_dictionaries(
        {
            "feedback": st.lists(
                st.fixed_dictionaries(
                    {"prediction_id": st.text("0123456789abcdef", max_size=33), "label": ANYTHING}
                )
                | ANYTHING,
                max_size=4,
            )
        }
    )
    | ANYTHING
).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
KINDS = st.sampled_from(
    ["application/json", "application/x-ndjson", "text/plain", "", "application/json; charset=x"]
)
LETTERS = st.characters(min_codepoint=33, max_codepoint=126)
HEADERS = st.dictionaries(
    st.sampled_from(["X-Request-Timeout", "traceparent", "X-Perennial-Version", "Accept", "X-Perennial-Key"]),
    st.text(LETTERS, max_size=60)
    | st.sampled_from(["0.5", "-1", "nan", "1e999", f"00-{'a' * 32}-{'b' * 16}-01"]),
)
QUERIES = st.dictionaries(
    st.sampled_from(["since", "until", "limit", "cursor", "version", "other"]),
    st.text(max_size=40) | st.sampled_from(["1", "0", "2026-11-01T00:00:00Z", "f" * 32, "-1", "9" * 40]),
    max_size=4,
)


@pytest.fixture(scope="module")
def document(services: Platform, steady: Model) -> Iterator[dict[str, Any]]:
    """The document of a gateway that others could reach, with its limits low."""
    with services.listening(PREDICTION_TOKENS=f"fuzz={TOKEN}", BODY_BYTES="65536"):
        found: dict[str, Any] = requests.get(f"{services.gateway_url}/openapi.json", timeout=30).json()
        yield found


def require_declared(document: dict[str, Any], path: str, method: str, answer: requests.Response) -> None:
    """The status is one that is declared, and the body is what is declared for it."""
    declared = document["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in declared, (path, answer.status_code, answer.text[:300])
    content = declared[str(answer.status_code)]["content"]
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in content, (path, answer.status_code, kind)
    if kind == "application/json":
        schema = {"$id": "urn:d", **document, "$ref": "#/components/schemas/Error"}
        if answer.status_code < 400:
            schema = content[kind]["schema"]
        Draft202012Validator(schema).validate(answer.json())


def send(platform: Platform, path: str, method: str, **how: Any) -> requests.Response:
    how["headers"] = BEARER | how.get("headers", {})
    return requests.request(method, f"{platform.gateway_url}{path}", timeout=60, **how)


@SOME
@given(body=BODIES, kind=KINDS, headers=HEADERS, data=st.data())
def test_whatever_body_is_sent_the_answer_is_a_declared_one(
    services: Platform, document: dict[str, Any], body: bytes, kind: str, headers: dict[str, str], data: Any
) -> None:
    path = data.draw(st.sampled_from([path for path, of in document["paths"].items() if "post" in of]))
    answer = send(services, path, "POST", data=body, headers=headers | {"Content-Type": kind})
    require_declared(document, path, "POST", answer)
    assert answer.status_code < 500, answer.text


@SOME
@given(query=QUERIES, headers=HEADERS, data=st.data())
def test_whatever_is_asked_the_answer_is_a_declared_one(
    services: Platform, document: dict[str, Any], query: dict[str, str], headers: dict[str, str], data: Any
) -> None:
    path = data.draw(st.sampled_from([path for path, of in document["paths"].items() if "get" in of]))
    answer = send(services, path, "GET", params=query, headers=headers)
    require_declared(document, path, "GET", answer)
    assert answer.status_code < 500, answer.text


@SOME
@given(
    data=st.data(),
    authorization=st.text(LETTERS, max_size=300),
    method=st.sampled_from(["GET", "POST", "PUT"]),
)
def test_who_bears_no_token_gets_nothing_and_no_fault(
    services: Platform, document: dict[str, Any], data: Any, authorization: str, method: str
) -> None:
    guarded = [
        path for path, of in document["paths"].items() for each in of.values() if "security" not in each
    ]
    path = data.draw(st.sampled_from([*guarded, "/internal/tokens", "/internal/routes/m", "/v1/nothing"]))
    answer = send(services, path, method, headers={"Authorization": authorization}, data=b"{}")
    assert answer.status_code in {401, 405}, (path, answer.status_code, answer.text)


def raw(platform: Platform, *parts: bytes, pause: float = 0.0) -> socket.socket:
    host, port = platform.gateway_url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    for part in parts:
        connection.sendall(part)
        time.sleep(pause)
    return connection


MALFORMED = [
    b"\x00" * 1000,
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000_000 + b"\r\n\r\n",
    b"GET /" + b"%00%ff/../" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /v1/models/m/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n{}",
]


@pytest.mark.parametrize("sent", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_http_ends_the_connection_and_nothing_else(
    services: Platform, document: dict[str, Any], sent: bytes
) -> None:
    with raw(services) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
        except OSError:  # refused while it was being sent
            answer = b""
    assert not answer or int(answer.split(b" ")[1]) in range(400, 500), answer
    assert requests.get(f"{services.gateway_url}/healthz", timeout=10).status_code == 200


def test_huge_and_slow_senders_take_no_memory_and_keep_nobody_waiting(
    services: Platform, steady: Model, document: dict[str, Any]
) -> None:
    process = psutil.Process(services.gateway.process.pid)  # type: ignore[union-attr]
    before = process.memory_info().rss
    head = f"POST /v1/models/{steady.name}/predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    slow = [raw(services, head.encode(), b"{" * 10) for _ in range(300)]
    slow += [raw(services, b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(300)]

    def huge(_: int) -> int:
        body = b'{"instances": [' + b'{"text": "a"},' * 2_000_000 + b"{}]}"
        try:
            return send(
                services,
                f"/v1/models/{steady.name}/predict",
                "POST",
                data=body,
                headers={"Content-Type": "application/json"},
            ).status_code
        except requests.ConnectionError:  # closed while it was being sent
            return 413

    with ThreadPoolExecutor(4) as senders:
        statuses = set(senders.map(huge, range(12)))
    began = time.monotonic()
    answer = send(services, f"/v1/models/{steady.name}/predict", "POST", json={"instances": [{"text": "a"}]})
    took, grown = time.monotonic() - began, process.memory_info().rss - before
    for connection in slow:
        connection.close()

    assert statuses == {413}
    assert (answer.status_code, took < 2) == (200, True)
    assert grown < 150 << 20, f"{grown >> 20} MiB"
    assert services.gateway.running


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nX-Slow: ", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET"]
)
def test_a_head_that_does_not_come_to_its_end_is_waited_for_no_longer_than_it_may(
    services: Platform, document: dict[str, Any], sent: bytes
) -> None:
    with raw(services, sent) as connection:
        began = time.monotonic()
        while connection.recv(1000):
            pass
    assert HEAD_SECONDS - 2 < time.monotonic() - began < HEAD_SECONDS + 5


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_it_may(
    services: Platform, steady: Model, document: dict[str, Any]
) -> None:
    head = f"POST /v1/models/{steady.name}/predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
    with raw(
        services, f"{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode()
    ) as connection:
        connection.settimeout(BODY_SECONDS + 10)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
