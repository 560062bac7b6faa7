"""The tokens of the gateway's users are for the gateway alone: no other program of the platform sees them."""

from pathlib import Path

import pytest

from embedded import gateway
from embedded.private import Secrets
from embedded.services import clean_environment, programs
from embedded.settings import PORTS, EmbeddedSettings


def test_only_the_gateway_is_told_the_tokens_of_its_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PERENNIAL_PREDICTION_TOKENS", "shop=a-token-of-the-shop")
    settings = EmbeddedSettings(home=tmp_path)

    _, told = gateway.command(
        tmp_path,
        port=1,
        token="a token of the steps",
        database_url="sqlite://",
        torchserve_url="http://127.0.0.1:2",
        torchserve_key_file=tmp_path / "key_file.json",
        prediction_tokens=settings.prediction_tokens.get_secret_value(),
    )

    assert "a-token-of-the-shop" not in str(clean_environment())
    assert told["PERENNIAL_PREDICTION_TOKENS"] == "shop=a-token-of-the-shop"
    assert told["PERENNIAL_GATEWAY_HOST"] == "127.0.0.1"
    assert "a-token-of-the-shop" not in repr(settings)


def test_where_the_gateway_keeps_its_log_and_whether_it_has_pages_for_users_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = {"LOG_DURABILITY": "power", "LOG_SPOOL": str(tmp_path / "spool"), "LOG_SPOOL_BYTES": "2000000"}
    told["USER_PAGE"] = "False"
    for name, value in told.items():
        monkeypatch.setenv(f"PERENNIAL_{name}", value)

    started = programs(EmbeddedSettings(home=tmp_path), dict.fromkeys(PORTS, 1), Secrets())

    (environment,) = [each.environment for each in started if each.name == "gateway"]
    assert {name: environment[f"PERENNIAL_{name}"] for name in told} == told
