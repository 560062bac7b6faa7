"""Environments of a gateway of several processes, on SQLite and PostgreSQL: each has records of its own, and
a change in one holds in every process when it is answered.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.unit.gateway.models import Models, route, serving
from tests.unit.gateway.postgres import postgres_url
from tests.unit.gateway.processes import Gateway, running, until

NAMES = ("dev", "staging")


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with serving() as made:
        for version in ("1", "2", "3"):
            made.add(version, int(version))
        yield made


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    with ExitStack() as stack:
        yield (
            f"sqlite:///{folder / 'gateway.db'}" if kind == "SQLite" else stack.enter_context(postgres_url())
        )


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def gateway(request: pytest.FixtureRequest, models: Models, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of two processes that answers for dev and staging below their names."""
    with (
        database(request.param, tmp_path) as url,
        running(models, tmp_path, url, release_environments=",".join(NAMES)) as made,
    ):
        yield made


def below(gateway: Gateway, environment: str) -> Gateway:
    return replace(gateway, url=f"{gateway.url}/{environment}")


def answered_by(gateway: Gateway) -> set[str]:
    """The versions that answer over many new connections at once."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(gateway.predict) for _ in range(12)]
        return {one.result().json()["model_version"] for one in asked}


def logged(gateway: Gateway) -> int:
    return len(gateway.internal("GET", "/log/predictions?model=m")["rows"])


def test_a_change_of_one_environment_holds_in_every_process_and_in_no_other_environment(
    gateway: Gateway,
) -> None:
    dev, staging = (below(gateway, name) for name in NAMES)
    gateway.put(route("1"))
    for version in ("2", "3", "2"):
        staging.put(route(version))
        assert (answered_by(staging), answered_by(gateway)) == ({version}, {"1"})
    assert dev.predict().status_code == 404
    until(lambda: (logged(gateway), logged(staging), logged(dev)) == (36, 36, 0), "the rows", 10)
    staging.internal("DELETE", "/routes/m")
    assert {staging.predict().status_code for _ in range(8)} == {404}
    assert answered_by(gateway) == {"1"}


def test_an_environment_is_there_again_in_a_process_that_was_killed(gateway: Gateway) -> None:
    staging = below(gateway, "staging")
    staging.put(route("2"))
    killed = gateway.workers()[0]
    killed.kill()
    until(lambda: not killed.is_running() and gateway.ready(2), "another process")
    until(lambda: answered_by(staging) == {"2"}, "staging")
    staging.put(route("3"))
    assert answered_by(staging) == {"3"}


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_gateways_of_their_own_that_start_at_once_on_one_database_keep_apart(
    kind: str, models: Models, tmp_path: Path
) -> None:
    with database(kind, tmp_path) as url, ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        made = [
            running(models, tmp_path, url, workers=1, gateway_environment=name)
            for name in (*NAMES, "production")
        ]
        gateways = list(pool.map(stack.enter_context, made))
        for version, each in zip("123", gateways, strict=True):
            each.put(route(version))
        assert [answered_by(each) for each in gateways] == [{"1"}, {"2"}, {"3"}]
        if kind == "PostgreSQL":
            assert rows_of_schemas(url) == {"dev": 12, "staging": 12, "public": 12}


def rows_of_schemas(url: str) -> dict[str, int]:
    """How many predictions each schema has; a row may come a moment after its answer."""
    engine = sa.create_engine(url)

    def counted() -> dict[str, int]:
        with engine.connect() as connection:
            return {
                schema: connection.scalar(sa.text(f"SELECT count(*) FROM {schema}.predictions")) or 0
                for schema in (*NAMES, "public")
            }

    try:
        until(lambda: sum(counted().values()) >= 36, "the rows", 10)
        return counted()
    finally:
        engine.dispose()
