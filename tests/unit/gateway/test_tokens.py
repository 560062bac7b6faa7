"""A token may do what it was made for, until it ends or is revoked, in every process of the gateway."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway.access import directory
from perennial_gateway.access.directory import Directory
from perennial_gateway.access.grants import Defaults, Grants, grant_of
from perennial_gateway.access.guard import Guard
from perennial_gateway.access.rate_limit import RateLimit, told, wait_seconds
from perennial_gateway.app import application
from perennial_gateway.database import connect
from perennial_gateway.settings import Unguarded
from perennial_gateway.tokens import parse_tokens
from perennial_gateway.web import Refused
from starlette.testclient import TestClient

from tests.unit.gateway.test_app import ROUTE, STEPS
from tests.unit.gateway.test_settings import settings

SHOP, BANK = "a-token-of-the-shop", "a-token-of-the-bank"


def hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def grant(token: str = SHOP, **changes: Any) -> dict[str, Any]:
    return {"name": "shop", "sha256": hashed(token), "scopes": ["predict"], "made_by": "person:ann"} | changes


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def gateway(url: str) -> Iterator[TestClient]:
    with TestClient(application(settings(gateway_database_url=url))) as client:
        assert client.put("/internal/routes/m", json=ROUTE, headers=STEPS).status_code == 200
        yield client


def make(client: TestClient, token: str = SHOP, **changes: Any) -> dict[str, Any]:
    answer = client.post("/internal/tokens", json=grant(token, **changes), headers=STEPS)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def said(client: TestClient, method: str, path: str, token: str | None) -> tuple[int, str]:
    headers = bearing(token) if token else {}
    answer = client.request(
        method, path, headers=headers | {"Content-Type": "application/json"}, content="{}"
    )
    return answer.status_code, answer.json().get("error", "")


def test_a_token_that_was_made_may_do_what_its_scopes_say_and_nothing_else(gateway: TestClient) -> None:
    assert said(gateway, "GET", "/v1/models", None) == (200, ""), (
        "on loopback nobody is asked, until there is one"
    )
    make(gateway)

    assert said(gateway, "GET", "/v1/models", None)[0] == 401
    assert said(gateway, "GET", "/v1/models", BANK)[0] == 401
    assert said(gateway, "GET", "/v1/models", SHOP) == (200, "")
    assert said(gateway, "POST", "/v1/models/m/predict", SHOP)[0] == 422, "past the guard"
    status, sentence = said(gateway, "POST", "/v1/models/m/feedback", SHOP)
    assert (status, "may ask for predictions, but not send labels" in sentence) == (403, True)
    assert "Ask for one with the scope feedback" in sentence


def test_a_token_for_some_models_sees_no_others(gateway: TestClient) -> None:
    gateway.put("/internal/routes/other", json=ROUTE | {"model": "other"}, headers=STEPS)
    make(gateway, models=["other"])

    named = gateway.get("/v1/models", headers=bearing(SHOP)).json()["models"]
    status, sentence = said(gateway, "POST", "/v1/models/m/predict", SHOP)

    assert [each["model"] for each in named] == ["other"]
    assert (status, sentence) == (403, "The token 'shop' is for other, and not for 'm'.")
    assert said(gateway, "GET", "/v1/models/m", SHOP)[0] == 403
    assert said(gateway, "POST", "/v1/models/other/predict", SHOP)[0] == 422


def test_a_token_ends_at_its_time(gateway: TestClient) -> None:
    make(gateway, expires_at=(datetime.now(UTC) + timedelta(seconds=0.5)).isoformat())
    assert said(gateway, "GET", "/v1/models", SHOP)[0] == 200
    time.sleep(0.6)
    status, sentence = said(gateway, "GET", "/v1/models", SHOP)
    assert (status, "The token 'shop' ended at 2" in sentence) == (401, True)


def test_a_revoked_token_is_refused_within_a_second_by_every_process(gateway: TestClient, url: str) -> None:
    token_id = make(gateway)["id"]
    with TestClient(application(settings(gateway_database_url=url))) as second:
        assert said(second, "GET", "/v1/models", SHOP)[0] == 200
        revoked = gateway.delete(f"/internal/tokens/{token_id}", params={"by": "person:eve"}, headers=STEPS)

        assert said(gateway, "GET", "/v1/models", SHOP)[0] == 401, "at once where it was revoked"
        time.sleep(1)
        status, sentence = said(second, "GET", "/v1/models", SHOP)
        again = gateway.delete(f"/internal/tokens/{token_id}", params={"by": "person:bob"}, headers=STEPS)

    assert (status, "The token 'shop' was revoked" in sentence) == (401, True)
    assert revoked.json()["revoked_by"] == again.json()["revoked_by"] == "person:eve"
    assert said(gateway, "GET", "/v1/models", None)[0] == 401, "taking the last one back opens nothing"


def test_no_token_is_kept_anywhere_and_the_same_one_is_made_once(gateway: TestClient, tmp_path: Path) -> None:
    assert make(gateway) == make(gateway)
    other = gateway.post("/internal/tokens", json=grant(scopes=["admin"]), headers=STEPS)
    listed = gateway.get("/internal/tokens", headers=STEPS).json()["tokens"]

    assert (other.status_code, "with other rights" in other.json()["error"]) == (409, True)
    assert [(each["id"], each["scopes"]) for each in listed] == [(hashed(SHOP)[:12], ["predict"])]
    assert not [file for file in tmp_path.rglob("*") if file.is_file() if SHOP.encode() in file.read_bytes()]


def test_an_admin_may_use_what_the_steps_use_but_make_no_tokens(gateway: TestClient) -> None:
    make(gateway, scopes=["admin"])
    make(gateway, BANK, name="bank", scopes=["predict", "feedback", "read"])

    assert said(gateway, "GET", "/internal/routes/m", SHOP)[0] == 200
    assert said(gateway, "POST", "/v1/models/m/feedback", SHOP)[0] == 422, "admin may do what the others may"
    assert said(gateway, "GET", "/internal/routes/m", BANK)[0] == 403
    assert said(gateway, "GET", "/internal/tokens", SHOP)[0] == 403
    assert said(gateway, "DELETE", "/internal/tokens/0123456789ab?by=me", SHOP)[0] == 403
    assert said(gateway, "GET", "/internal/routes/m", None)[0] == 401


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "Shop"}, "name: "),
        ({"sha256": SHOP}, "sha256: "),
        ({"scopes": []}, "scopes: "),
        ({"scopes": ["everything"]}, "scopes.0: "),
        ({"models": ["../m"]}, "models.0: "),
        ({"models": ["m"], "scopes": ["admin"]}, "cannot be limited to some models"),
        ({"rate": "many"}, "'many' is no limit; an example is 500/minute"),
        ({"body_bytes": 1}, "body_bytes: "),
        ({"expires_at": "2026-11-01T00:00:00"}, "expires_at: "),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at: Value error, is no time of UTC"),
        ({"made_by": "\0"}, "made_by: Value error, has the character NUL"),
        ({"secret": SHOP}, "secret: "),
    ],
)
def test_a_token_that_cannot_be_made_is_refused_with_its_field(
    gateway: TestClient, changes: dict[str, Any], fault: str
) -> None:
    answer = gateway.post("/internal/tokens", json=grant(**changes), headers=STEPS)
    assert (answer.status_code, fault in answer.json()["error"]) == (422, True), answer.text
    assert SHOP not in answer.json()["error"]


@pytest.mark.parametrize("token_id", ["", "0123", "%25", "0123456789ab", "%00" * 12, "________________"])
def test_a_token_that_was_never_made_cannot_be_revoked(gateway: TestClient, token_id: str) -> None:
    make(gateway)
    assert gateway.delete(f"/internal/tokens/{token_id}?by=me", headers=STEPS).status_code in {404, 405}
    assert gateway.delete(f"/internal/tokens/{hashed(SHOP)[:12]}", headers=STEPS).status_code == 422
    assert said(gateway, "GET", "/v1/models", SHOP)[0] == 200


def test_a_made_token_is_enough_to_listen_where_others_can_reach_the_gateway(url: str) -> None:
    engine = connect(url)
    beyond = settings(gateway_database_url=url, gateway_host="0.0.0.0")
    with pytest.raises(Unguarded, match="perennial token make"):
        application(beyond)
    made = Grants(engine).make(grant_of(grant()))
    with TestClient(application(beyond)) as client:
        assert said(client, "GET", "/v1/models", None)[0] == 401
        assert said(client, "GET", "/v1/models", SHOP)[0] == 200
    Grants(engine).revoke(made["sha256"], "ann")
    with pytest.raises(Unguarded):
        application(beyond)
    engine.dispose()


def test_while_the_database_is_away_the_known_tokens_hold(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(directory, "LOOK_SECONDS", 0.01)
    with TestClient(application(settings(gateway_database_url=url))) as client:
        make(client)
        engine = sa.create_engine(url)
        with caplog.at_level(logging.WARNING), engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE tokens RENAME TO gone"))
            connection.commit()
            time.sleep(0.2)
            assert said(client, "GET", "/v1/models", SHOP)[0] == 200
            assert said(client, "GET", "/v1/models", BANK)[0] == 401
        engine.dispose()
    assert len([each for each in caplog.records if "cannot be read" in each.message]) == 1, "told once"


def test_a_token_sends_as_many_requests_as_it_may_and_is_told_when_to_go_on(gateway: TestClient) -> None:
    make(gateway, rate="3/second")
    make(gateway, BANK, name="bank")

    statuses = [said(gateway, "GET", "/v1/models", SHOP)[0] for _ in range(4)]
    refused = gateway.get("/v1/models", headers=bearing(SHOP))

    assert statuses == [200, 200, 200, 429]
    assert refused.headers["Retry-After"] == "1"
    assert "may send 3 requests per second" in refused.json()["error"]
    assert said(gateway, "GET", "/v1/models", BANK)[0] == 200, "others are not kept waiting"
    make(gateway, "a third token of theirs", name="third")
    assert said(gateway, "GET", "/v1/models", SHOP)[0] == 429, (
        "what was counted stays so when another is made"
    )
    time.sleep(1.05)
    assert said(gateway, "GET", "/v1/models", SHOP)[0] == 200


def test_a_body_is_as_large_as_the_token_allows(gateway: TestClient) -> None:
    make(gateway, body_bytes=2000, scopes=["predict", "feedback"])
    make(gateway, BANK, name="bank")
    body = b'{"instances": [{"text": 5}]}'.ljust(2001)
    json = {"Content-Type": "application/json"}

    refused = gateway.post("/v1/models/m/predict", content=body, headers=bearing(SHOP) | json)
    allowed = gateway.post("/v1/models/m/predict", content=body[:2000], headers=bearing(SHOP) | json)

    assert (refused.status_code, "larger than 2000 bytes" in refused.json()["error"]) == (413, True)
    assert allowed.status_code == 422
    assert gateway.post("/v1/models/m/predict", content=body, headers=bearing(BANK) | json).status_code == 422


def test_limits_of_several_windows_hold_together_and_are_shared_among_the_processes() -> None:
    limit = RateLimit("4/second;6/minute", workers=2)
    assert [limit.take(now) is None for now in (0.0, 0.1, 0.2)] == [True, True, False]
    assert limit.take(1.0) is None
    broken = limit.take(2.5)
    assert broken is not None
    assert told(broken) == "6 requests per minute"
    assert wait_seconds(broken, 2.5) == 58
    assert limit.take(60.0) is None
    assert RateLimit("1/second", workers=8).take(0.0) is None, "one passes, however many processes there are"


def test_to_check_a_valid_token_costs_less_than_ten_microseconds(url: str) -> None:
    engine = connect(url)
    grants = Grants(engine)
    for number in range(200):
        grants.make(grant_of(grant(f"token number {number}", rate="100000000/day", models=["m", "n"])))
    known = Directory(grants, parse_tokens(f"bank={BANK}"), Defaults("", 1024), open_without=True)
    known.load()
    guard = Guard(known, "")
    headers = [(b"host", b"gateway"), (b"accept", b"*/*"), (b"content-type", b"application/json")]
    headers += [(b"user-agent", b"curl/8"), (b"authorization", b"Bearer token number 7")]

    began = time.perf_counter()
    for _ in range(20_000):
        sender = guard.authorize(headers, "predict", "m")
    cost = (time.perf_counter() - began) / 20_000

    assert sender.name == "shop"
    assert cost < 10e-6, f"{cost * 1e6:.1f} microseconds"
    with pytest.raises(Refused):
        guard.authorize(headers, "read", "m")
    engine.dispose()
