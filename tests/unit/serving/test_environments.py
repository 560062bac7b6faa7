"""Which environments there are, and where each one's gateway answers."""

from collections.abc import Iterator

import pytest

from tasks.errors import InvalidRequest, InvalidSettings
from tasks.serving.environments import addresses, gateway_of
from tasks.settings import settings


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", "http://gateway:8000/")
    monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", "a token of the steps")
    settings.cache_clear()
    yield
    settings.cache_clear()


def named(monkeypatch: pytest.MonkeyPatch, environments: str) -> None:
    monkeypatch.setenv("PERENNIAL_RELEASE_ENVIRONMENTS", environments)
    settings.cache_clear()


def test_there_is_production_alone_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERENNIAL_RELEASE_ENVIRONMENTS", raising=False)
    assert addresses() == {}
    gateway_of("production")
    with pytest.raises(InvalidRequest, match="no environment 'staging'"):
        gateway_of("staging")


def test_one_without_an_address_answers_below_production(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "dev, staging = http://staging:8000/ ")
    assert list(addresses().items()) == [
        ("dev", "http://gateway:8000/dev"),
        ("staging", "http://staging:8000"),
    ]


@pytest.mark.parametrize(
    "environments",
    [
        *["dev,dev", "Dev", "production", "=http://a", "dev,production", "champion", "dev,latest"],
        *["v2=http://a", "public", "gateway=http://a", "pg_toast", "information_schema", "metrics"],
        *["healthz", "internal"],
    ],
)
def test_names_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch, environments: str) -> None:
    named(monkeypatch, environments)
    with pytest.raises(InvalidSettings, match="PERENNIAL_RELEASE_ENVIRONMENTS"):
        addresses()
