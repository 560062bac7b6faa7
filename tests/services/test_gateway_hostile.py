"""Callers who mean no good, at the same time as others: those are answered, and the gateway does not grow."""

import asyncio
import contextlib
import gzip
import json
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import aiohttp
import psutil
import pytest
import requests

from tests.services.conftest import Model, Platform
from tests.services.test_gateway_fuzz import BEARER, TOKEN, send

JSON = {"Content-Type": "application/json"}
SECONDS = 4.0
MIB = 1 << 20
Attack = Callable[[aiohttp.ClientSession, str, int], Awaitable[int]]


@pytest.fixture(scope="module")
def attacked(services: Platform, steady: Model) -> Iterator[Platform]:
    """A gateway that others could reach, with its limits low."""
    with services.listening(PREDICTION_TOKENS=f"fuzz={TOKEN}", BODY_BYTES="65536"):
        yield services
        with contextlib.closing(sqlite3.connect(services.database_file)) as database, database:
            database.execute("DELETE FROM tokens")  # a gateway that ever had one asks for one


def rss(platform: Platform) -> int:
    assert platform.gateway.process is not None
    return int(psutil.Process(platform.gateway.process.pid).memory_info().rss)


def raw(platform: Platform, *parts: bytes) -> socket.socket:
    host, port = platform.gateway_url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    for part in parts:
        connection.sendall(part)
    return connection


def head(model: Model, *more: str) -> bytes:
    lines = [
        *(f"POST /v1/models/{model.name}/predict HTTP/1.1", "Host: a", f"Authorization: Bearer {TOKEN}"),
        *("Content-Type: application/json", *more),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# --- bodies, headers and questions that nobody means well with ---

TEXT = '{"instances":[{"text":%s}]}'
BODIES: list[bytes] = [
    (TEXT % ("[" * 90 + "]" * 90)).encode(),
    ("[" * 30_000).encode(),
    (TEXT % json.dumps({str(number): 1 for number in range(5000)})).encode(),
    json.dumps({str(number): 1 for number in range(5000)}).encode(),
    (TEXT % json.dumps("a" * 60_000)).encode(),
    (TEXT % "NaN").encode(),
    (TEXT % "-Infinity").encode(),
    (TEXT % "1e999").encode(),
    (TEXT % ("9" * 5000)).encode(),
    b'{"instances":[{"text":"a"}],"instances":[{"text":5}]}',
    (TEXT % '"a"').encode("utf-16"),
    (TEXT % '"\xe9"').encode("latin-1"),
    b"\xef\xbb\xbf" + (TEXT % '"a"').encode(),
    (TEXT % '"\\ud800"').encode(),
    b'{"instances":[' + b'{"text":"a"},' * 4000 + b"{}]}",
]
HUGE = b'{"text": "a"},' * (20 * MIB // 14)
BOMB = gzip.compress(b" " * (20 * MIB))
HEADERS: list[dict[str, str]] = [
    {"Content-Encoding": "gzip"},
    {"Authorization": "Bearer " + "x" * 30_000},
    {"Authorization": "Basic " + "x" * 100},
    {"traceparent": "00-" + "f" * 30_000},
    {"X-Perennial-Version": "9" * 30_000},
    {"X-Perennial-Version": "1' OR '1'='1"},
    {"X-Request-Timeout": "1e-300"},
    {"X-Request-Timeout": "inf"},
    {"Transfer-Encoding": "gzip"},
    {f"X-{number}": "a" for number in range(500)},
]
QUERIES = [
    "limit=99999999999999999999",
    "limit=-1",
    "since=0001-01-01T00:00:00%2B23:59",
    "until=9999-12-31T23:59:59-23:59",
    "since=2026-02-30T00:00:00Z",
    "cursor=' OR 1=1 --",
    "version=1'; DROP TABLE predictions; --",
    "version=%00",
    "version=" + "v" * 20_000,
    "limit=1&limit=2",
    "since=1e9",
]


async def body(session: aiohttp.ClientSession, model: str, turn: int) -> int:
    kind = JSON if turn % 3 else {"Content-Type": "application/x-ndjson"}
    verb = ["/predict", ":predict_batch", "/feedback"][turn % 3 - 1]
    return await status(session, "POST", f"{model}{verb}", data=BODIES[turn % len(BODIES)], headers=kind)


async def headers(session: aiohttp.ClientSession, model: str, turn: int) -> int:
    more = JSON | HEADERS[turn % len(HEADERS)]
    return await status(session, "POST", f"{model}/predict", data=(TEXT % '"a"').encode(), headers=more)


async def query(session: aiohttp.ClientSession, model: str, turn: int) -> int:
    verb = ["predictions", "statistics"][turn % 2]
    return await status(session, "GET", f"{model}/{verb}?{QUERIES[turn % len(QUERIES)]}")


async def huge(session: aiohttp.ClientSession, model: str, turn: int) -> int:
    async def pieces() -> Any:
        for start in range(0, len(HUGE), MIB):
            yield HUGE[start : start + MIB]

    data = pieces() if turn % 2 else HUGE
    return await status(session, "POST", f"{model}/predict", data=data, headers=JSON)


async def bomb(session: aiohttp.ClientSession, model: str, _turn: int) -> int:
    more = JSON | {"Content-Encoding": "gzip"}
    return await status(session, "POST", f"{model}/predict", data=BOMB, headers=more)


async def leave(session: aiohttp.ClientSession, model: str, turn: int) -> int:
    """Ask for much, and hang up before it is there."""
    lines = b'{"text": "sleep 0.01"}\n' * 8
    more = {"Content-Type": "application/x-ndjson"}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.02 * (turn % 5)):
            return await status(session, "POST", f"{model}:predict_batch", data=lines, headers=more)
    return 0


async def status(session: aiohttp.ClientSession, method: str, path: str, **how: Any) -> int:
    """What came back; 0 for a connection that was closed while the request was on its way."""
    try:
        async with session.request(method, f"/v1/models/{path}", **how) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, ConnectionError):
        return 0


async def attack(platform: Platform, model: str) -> tuple[Counter[int], Counter[int]]:
    """Every attack again and again, beside good requests; what came of the attacks, and of the others."""
    bad: Counter[int] = Counter()
    good: Counter[int] = Counter()
    until = time.monotonic() + SECONDS
    timeout = aiohttp.ClientTimeout(total=60)

    async def again(session: aiohttp.ClientSession, way: Attack) -> None:
        turn = 0
        while time.monotonic() < until:
            bad[await way(session, model, turn)] += 1
            turn += 1
            await asyncio.sleep(0.01)

    async def well(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < until:
            instances = {"instances": [{"text": "a good one"}]}
            good[await status(session, "POST", f"{model}/predict", json=instances)] += 1
            await asyncio.sleep(0.02)

    async with (
        aiohttp.ClientSession(platform.gateway_url, headers=BEARER, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        for way in (body, headers, query, huge, bomb, leave):
            group.create_task(again(session, way))
        for _ in range(2):
            group.create_task(well(session))
    return bad, good


def test_under_attack_good_requests_are_answered_and_the_memory_is_bounded(
    attacked: Platform, steady: Model
) -> None:
    slow = [raw(attacked, head(steady, "Content-Length: 60000"), b"{" * 10) for _ in range(300)]
    slow += [raw(attacked, b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(300)]
    page = f"GET /openapi.json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    slow += [raw(attacked, page * 500) for _ in range(20)]  # who reads nothing of what it asks for
    before = rss(attacked)

    bad, good = asyncio.run(attack(attacked, steady.name))
    grown = rss(attacked) - before
    again, _ = asyncio.run(attack(attacked, steady.name))
    grown_again = rss(attacked) - before - grown
    for connection in slow:
        connection.close()

    print(
        f"attacks {dict(bad + again)}, good {dict(good)}, grown by {grown >> 20} and {grown_again >> 20} MiB"
    )
    assert good.keys() == {200}
    assert good[200] > 10
    assert (bad + again).keys() <= {0, 200, 400, 401, 404, 413, 415, 422, 431, 503, 504}, bad + again
    assert grown < 150 * MIB
    assert grown_again < 40 * MIB
    assert attacked.gateway.running


# --- connections ---

MALFORMED = [
    b"\x00" * 1000,
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/models HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000_000 + b"\r\n\r\n",
    b"GET /" + b"%00%ff/../" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /v1/models/m/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /",
]


@pytest.mark.parametrize("sent", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_http_ends_the_connection_and_nothing_else(attacked: Platform, sent: bytes) -> None:
    with raw(attacked) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
        except OSError:  # refused while it was being sent
            answer = b""
    assert not answer or int(answer.split(b" ")[1]) in range(400, 500), answer
    assert requests.get(f"{attacked.gateway_url}/healthz", timeout=10).status_code == 200


def test_pipelined_requests_are_answered_in_their_order(attacked: Platform, steady: Model) -> None:
    good, bad = (TEXT % '"a"').encode(), b"{"
    asked = b"".join(
        head(steady, f"Content-Length: {len(each)}") + each for _ in range(50) for each in (good, bad)
    )
    told = b""
    with raw(attacked, asked) as connection:
        while told.count(b"HTTP/1.1 ") < 100 and (part := connection.recv(1 << 16)):
            told += part
    statuses = [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400"] * 50


def test_who_closes_its_half_of_a_connection_disturbs_nobody(attacked: Platform, steady: Model) -> None:
    whole = (TEXT % '"a"').encode()
    for sent in (whole, whole[:9]):
        for _ in range(20):
            with raw(attacked, head(steady, f"Content-Length: {len(whole)}"), sent) as connection:
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(1000)
            assert not answer or answer[9:12] in {b"200", b"400"}, answer
    answered = send(attacked, f"/v1/models/{steady.name}/predict", "POST", data=whole, headers=JSON)
    assert answered.status_code == 200


# --- tokens ---


def test_a_token_that_is_revoked_or_ends_during_a_request_lets_no_further_one_in(
    attacked: Platform, steady: Model
) -> None:
    token = "a-token-that-is-taken-back"
    digest = sha256(token.encode()).hexdigest()
    grant = {"name": "gone", "sha256": digest, "scopes": ["predict"], "made_by": "tests"}
    assert attacked.internal("POST", "/tokens", json=grant).status_code == 201
    bearing = {"headers": {"Authorization": f"Bearer {token}"}}
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(attacked.predict, steady.name, "sleep 1.5", **bearing)
        time.sleep(0.5)
        assert attacked.internal("DELETE", f"/tokens/{digest[:12]}?by=tests").status_code == 200
        refused = attacked.predict(steady.name, "a", **bearing)
        assert asked.result().status_code == 200
    assert refused.status_code == 401
    wrong = requests.get(f"{attacked.gateway_url}/internal/tokens", headers=BEARER, timeout=30)
    assert wrong.status_code == 403
