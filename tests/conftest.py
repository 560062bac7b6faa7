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
