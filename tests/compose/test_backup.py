"""A backup of a platform with a champion, brought back where nothing is: the champion answers as before."""

from pathlib import Path

import pytest

from tests.compose.conftest import EXAMPLE, left_of
from tests.compose.more_models import MODEL
from tests.compose.stack import Stack

COUNTED = """
from tasks.stores import database
from tasks.stores.lake import Lake
with database.engine().connect() as connection:
    print(connection.execute(database.ledger_entries.select()).all())
print(Lake().read("reviews", columns=["batch_id"]).num_rows)
"""


def runs_of(stack: Stack) -> set[tuple[str, str]]:
    """The trainings that Airflow remembers, and how each ended."""
    runs = stack.airflow.runs(f"train_{MODEL}")
    return {(run["dag_run_id"], run["state"]) for run in runs if run["state"] in {"success", "failed"}}


@pytest.fixture(scope="module")
def backup(stack: Stack, champion: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a backup of the platform with this champion."""
    folder = tmp_path_factory.mktemp("backups") / "backup"
    made = stack.make("backup", TO=str(folder))
    assert made.returncode == 0, made.stdout
    return folder


@pytest.mark.timeout(1500)
def test_a_restored_platform_serves_the_same_champion_and_remembers_everything(
    stack: Stack, champion: str, backup: Path
) -> None:
    before, counted, runs = stack.predict(MODEL, EXAMPLE).json(), stack.in_step(COUNTED), runs_of(stack)
    assert backup.stat().st_mode & 0o077 == 0
    there = stack.make("restore", FROM=str(backup))
    assert there.returncode != 0
    assert "There is a platform" in there.stdout

    assert stack.make("down").returncode == 0
    assert not left_of(stack.engine, stack.project)
    (stack.folder / "env").rename(stack.folder / "env.lost")
    restore = stack.make("restore", FROM=str(backup), timeout_seconds=900)
    assert restore.returncode == 0, restore.stdout[-4000:]

    after = stack.predict(MODEL, EXAMPLE).json()
    assert after["run_id"] == before["run_id"] == champion
    assert after["predictions"][0]["score"] == before["predictions"][0]["score"]
    assert stack.in_step(COUNTED) == counted
    assert runs <= runs_of(stack)


def test_a_damaged_backup_is_not_brought_back(stack: Stack, backup: Path) -> None:
    with (backup / "mlflow.dump").open("ab") as file:
        file.write(b"x")
    restore = stack.make("restore", FROM=str(backup))
    assert restore.returncode != 0
    assert "is damaged" in restore.stdout
    stack.wait_healthy()
