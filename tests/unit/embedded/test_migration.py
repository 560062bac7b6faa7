"""A database takes its migrated copy's place whole, whatever the migration left open."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from embedded.migration import Migration


def rows(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [row for (row,) in connection.execute("SELECT n FROM t ORDER BY n")]


def write_and_die(database: Path, number: int) -> None:
    """Commit a row to the write-ahead log, and end as a process that is killed."""
    child = os.fork()
    if child == 0:
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        connection.commit()
        os._exit(0)
    os.waitpid(child, 0)
    assert database.with_name(f"{database.name}-wal").stat().st_size > 0


def test_what_is_only_in_a_write_ahead_log_is_neither_lost_nor_mixed_up(tmp_path: Path) -> None:
    migration = Migration("migrate", tmp_path / "airflow.db", "2")
    write_and_die(migration.database, 1)
    migration.begin()
    write_and_die(migration.copy, 2)
    write_and_die(migration.database, 3)

    migration.finish()

    assert rows(migration.database) == [1, 2]
    assert not migration.is_needed()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["airflow.db", "airflow.version"]
