"""Which environments there are, and where each one's gateway answers."""

from collections.abc import Iterator

import pytest

from tasks.errors import InvalidRequest, InvalidSettings
from tasks.serving.environments import addresses, fault_of, gateway_of
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


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["stagin"],
            "names stagin, which this platform has not: PERENNIAL_RELEASE_ENVIRONMENTS has dev, stag",
        ),
        (["staging", "dev"], "is staging, dev, but PERENNIAL_RELEASE_ENVIRONMENTS has dev, staging, in this"),
    ],
)
def test_a_models_environments_that_the_platform_has_not_or_in_another_order(
    names: list[str], said: str
) -> None:
    assert said in str(fault_of(names, ["dev", "staging"]))


def test_a_model_may_leave_an_environment_out() -> None:
    assert [fault_of(names, ["dev", "staging"]) for names in ([], ["staging"], ["dev", "staging"])] == [
        None
    ] * 3
