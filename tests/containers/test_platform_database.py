"""The platform's tables on PostgreSQL: an earlier database stays readable, and times compare as on SQLite."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tasks.ledger import entries
from tasks.settings import PROJECT, settings
from tasks.stores import database
from tests.containers.bases import inside, running, until
from tests.unit.stores import earlier_database

if TYPE_CHECKING:
    from docker import DockerClient

DATABASES = PROJECT / "containers" / "compose" / "databases.sh"


@pytest.fixture(scope="module")
def server(engine: "DockerClient", bases: None) -> Iterator[sa.URL]:
    """A PostgreSQL with the four databases of `make up`, as its superuser reaches it."""
    password = secrets.token_hex(8)
    with running(
        engine,
        "postgres:15-bookworm",
        environment={"POSTGRES_PASSWORD": password}
        | {f"{name}_DATABASE_PASSWORD": password for name in ("AIRFLOW", "MLFLOW", "PLATFORM", "GATEWAY")},
        volumes={str(DATABASES): {"bind": "/docker-entrypoint-initdb.d/databases.sh", "mode": "ro"}},
        ports={"5432/tcp": ("127.0.0.1", None)},
    ) as container:
        until(container, lambda: inside(container, "pg_isready -h 127.0.0.1 -U postgres")[0] == 0)
        container.reload()
        port = container.ports["5432/tcp"][0]["HostPort"]
        yield sa.make_url(f"postgresql+psycopg://postgres:{password}@127.0.0.1:{port}/postgres")


@pytest.fixture
def postgres(server: sa.URL, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """An empty database that the settings point to, with the ledger's heads in `home`."""
    name = f"test_{secrets.token_hex(4)}"
    whole = sa.create_engine(server, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with whole.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    point_to(monkeypatch, server.set(database=name))
    yield sa.create_engine(server.set(database=name), poolclass=sa.NullPool)
    monkeypatch.delenv("PERENNIAL_DATABASE_URL")
    settings.cache_clear()
    database.engine.cache_clear()
    with whole.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def point_to(monkeypatch: pytest.MonkeyPatch, url: sa.URL) -> None:
    monkeypatch.setenv("PERENNIAL_DATABASE_URL", url.render_as_string(hide_password=False))
    settings.cache_clear()
    database.engine.cache_clear()


def test_a_database_of_an_earlier_version_stays_readable_and_its_chain_whole(postgres: sa.Engine) -> None:
    earlier_database.make(postgres)

    earlier_database.require_rewritten(database.engine())
    database.engine.cache_clear()
    earlier_database.require_rewritten(database.engine())

    requests = database.retrain_requests
    due = sa.select(requests.c.request_id).where(requests.c.expires_at <= earlier_database.EXPIRES)
    overdue = sa.select(requests.c.request_id).where(requests.c.expires_at < earlier_database.EXPIRES)
    with database.engine().connect() as connection:
        assert sorted(connection.scalars(due)) == ["1", "2"]
        assert connection.scalars(overdue).all() == []
    entry = entries.record(
        model="m", actor="a", action="gate", before=None, after="hold", why="w", evidence={}
    )
    assert entries.find(entry.entry_hash) == entry
    assert entries.broken_entries([entry.entry_hash]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET why = 'otherwise'",
        "DELETE FROM ledger WHERE sequence = 2",
        "TRUNCATE ledger",
        "INSERT INTO ledger SELECT * FROM ledger ON CONFLICT (sequence) DO UPDATE SET why = 'otherwise'",
    ],
)
def test_the_database_changes_and_removes_no_entry_whoever_asks(postgres: sa.Engine, statement: str) -> None:
    for actor in ("one", "two"):
        entries.record(model="m", actor=actor, action="gate", before=None, after="x", why="w", evidence={})
    written = entries.history()

    with postgres.begin() as connection, pytest.raises(sa.exc.IntegrityError, match="append-only"):
        connection.execute(sa.text(statement))

    assert entries.history() == written


def test_the_platforms_own_role_adds_entries_and_can_do_nothing_else_to_them(
    postgres: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(monkeypatch, postgres.url.set(username="perennial", database="perennial"))
    for number in range(2):  # a second process finds the table given away
        database.engine.cache_clear()
        entries.record(
            model="m", actor=str(number), action="gate", before=None, after="x", why="w", evidence={}
        )

    for statement in (
        "UPDATE ledger SET why = 'otherwise'",
        "DELETE FROM ledger",
        "TRUNCATE ledger",
        "DROP TRIGGER ledger_is_append_only ON ledger",
        "ALTER TABLE ledger OWNER TO perennial",
        "SET ROLE ledger_owner",
    ):
        with (
            pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"),
            database.engine().begin() as connection,
        ):
            connection.execute(sa.text(statement))
    assert entries.broken_entries() == []


def test_engines_that_are_made_together_on_no_database_lose_nothing(postgres: sa.Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record_on_an_engine_of_its_own, range(8)))

    assert len(entries.history()) == 8
    assert entries.broken_entries() == []


def record_on_an_engine_of_its_own(number: int) -> None:
    database.engine.cache_clear()
    entries.record(model="m", actor=str(number), action="gate", before=None, after="x", why="w", evidence={})
