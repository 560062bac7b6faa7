"""`perennial token` on a running gateway: made, listed and revoked, with the ledger and without the token."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from embedded.ports import free_port
from tasks.contracts import Action
from tasks.ledger import entries
from tasks.settings import PROJECT, settings
from tests.services.conftest import Model, Platform, until
from tests.unit.cli.conftest import Ask, ask

__all__ = ["ask"]


@pytest.fixture(scope="module")
def tokens(services: Platform, settled: Path) -> Iterator[Path]:
    """The database of a gateway to which tokens may be made."""
    database = services.folder / "tokens.db"
    with services.listening(GATEWAY_DATABASE_URL=f"sqlite:///{database}"):
        yield database


@pytest.fixture(autouse=True)
def here(platform: Platform, tokens: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A platform that runs as processes, and no token of an earlier test."""
    monkeypatch.delenv("PERENNIAL_URL", raising=False)
    monkeypatch.setenv("PERENNIAL_MODELS", str(PROJECT / "models"))
    settings.cache_clear()
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", "http://127.0.0.1:1")
    yield
    with contextlib.closing(sqlite3.connect(tokens)) as database, database:
        database.execute("DELETE FROM tokens")
    open_to_all = f"{platform.gateway_url}/v1/models"
    until(lambda: requests.get(open_to_all, timeout=30).ok, what="the gateway to know of no token")
    settings.cache_clear()


def status(platform: Platform, token: str, path: str = "models") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{platform.gateway_url}/v1/{path}", headers=headers, timeout=30).status_code


def of_tokens() -> list[tuple[str, str | None, str]]:
    found = [each for each in entries.history() if each.model.startswith("token:")]
    return [(each.model, each.after, each.why) for each in found if each.action == Action.TOKEN]


def test_a_token_is_shown_once_works_and_is_revoked_and_the_ledger_says_who_and_why(
    platform: Platform, ask: Ask
) -> None:
    made = ask("token", "make", "shop", "--scope", "predict", "--for", "90d", "--why", "The shop asks.")
    token = made.shown.strip()

    assert (made.code, token.startswith("perennial_"), len(token)) == (0, True, 53), made.said
    assert "Its scopes: predict, until" in made.said
    assert "every caller without a token is refused" in made.said, "this was the first"
    assert status(platform, token) == 200
    assert "REVOKED" not in ask("token", "list").shown
    (row,) = ask("token", "list").rows
    assert (row[0], row[2], row[3]) == ("shop", "predict", "all")
    assert token not in "".join(row)

    revoked = ask("token", "revoke", "shop", "--why", "It was in a log.")

    assert revoked.code == 0, revoked.said
    assert status(platform, token) == 401
    assert ask("token", "list").rows == []
    assert [row[7] != "-" for row in ask("token", "list", "--all").rows] == [True]
    assert of_tokens()[-2:] == [
        ("token:shop", "made", "The shop asks."),
        ("token:shop", "revoked", "It was in a log."),
    ]
    assert token not in json.dumps([each.model_dump(mode="json") for each in entries.history()])


def test_one_of_two_tokens_of_a_name_is_revoked_by_its_id(platform: Platform, ask: Ask) -> None:
    first, second = (
        json.loads(ask("token", "make", "bank", "--why", "A new one each month.", "--json").shown)
        for _ in range(2)
    )
    assert first["token"] != second["token"]
    assert "is refused" not in ask("token", "make", "bank", "--why", "A third.").said, "the door is shut"

    wrong = ask("token", "revoke", "bank", "--id", "0123456789ab", "--why", "It is old.")
    right = ask("token", "revoke", "bank", "--id", first["id"], "--why", "It is old.")

    assert (wrong.code, "has the id '0123456789ab'" in wrong.said) == (20, True)
    assert right.code == 0
    assert [status(platform, each["token"]) for each in (first, second)] == [401, 200]


def test_limits_and_models_of_a_token_hold(platform: Platform, steady: Model, ask: Ask) -> None:
    made = ask(
        *("token", "make", "far", "--model", steady.name, "--rate", "2/minute", "--body", "2048"),
        *("--for", "never", "--why", "A trial.", "--json"),
    )
    token = json.loads(made.shown)
    assert (token["models"], token["rate"], token["body_bytes"]) == ([steady.name], "2/minute", 2048)
    assert token["expires_at"] is None
    assert [status(platform, token["token"]) for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["make", "Shop", "--why", "a"], 20, "name: "),
        (["make", "shop", "--why", "a", "--rate", "10"], 2, "10/second, 600/minute"),
        (["make", "shop", "--why", "a", "--scope", "admin", "--model", "review_sentiment"], 20, "Make two."),
        (["make", "shop", "--why", "a", "--model", "reviw_sentiment"], 2, "reviw_sentiment"),
        (["make", "shop", "--why", "a", "--for", "soon"], 2, "--for"),
        (["make", "shop", "--why", "a", "--scope", "all"], 2, "--scope"),
        (["make", "shop", "--why", " "], 2, "say why in a sentence"),
        (["revoke", "nobody", "--why", "a"], 20, "No token of 'nobody'"),
    ],
)
def test_a_token_that_cannot_be_made_or_revoked_is_said_and_decides_nothing(
    ask: Ask, words: list[str], code: int, sentence: str
) -> None:
    before = of_tokens()
    answer = ask("token", *words)
    assert (answer.code, sentence in answer.said) == (code, True), answer.said
    assert of_tokens() == before
    assert ask("token", "list").rows == []


def test_a_token_of_the_setting_is_listed_and_revoked_there(platform: Platform, ask: Ask) -> None:
    with platform.listening(PREDICTION_TOKENS="shop=a-token-of-the-shop"):
        (row,) = ask("token", "list").rows
        answer = ask("token", "revoke", "shop", "--why", "It was in a log.")
    assert (row[0], row[1], row[2]) == ("shop", "-", "feedback predict read")
    assert (answer.code, "PERENNIAL_PREDICTION_TOKENS. Remove it there" in answer.said) == (20, True)


def test_where_the_gateway_is_away_the_ledger_says_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of_tokens()
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    listed, made = ask("token", "list"), ask("token", "make", "shop", "--why", "a")
    assert (listed.code, made.code) == (1, 1)
    assert "does not answer" in made.said
    assert made.shown == ""
    assert of_tokens() == before
