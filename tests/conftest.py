"""Fixtures that every family of tests shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import database
from tasks.settings import settings

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state folder that the settings and the database of this process point to."""
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path))
    settings.cache_clear()
    database.engine.cache_clear()
    yield tmp_path
    database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; copy it, because making one takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
