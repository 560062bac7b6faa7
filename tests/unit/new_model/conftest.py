"""A project of one small model."""

from pathlib import Path

import pytest

from tasks.settings import settings
from tests.unit import trained


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the tiny model alone, whose table is `numbers`."""
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    monkeypatch.setenv("PERENNIAL_SUITES", str(home / "great_expectations"))
    settings.cache_clear()
    (home / "great_expectations" / "expectations").mkdir(parents=True)
    trained.write_model(home / "models")
    return home
