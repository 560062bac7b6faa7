"""`./perennial` on this clone's processes: what it is pointed to, and where it starts."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.place import Place
from embedded.ask import point_to
from embedded.errors import PlatformError
from embedded.platform import Platform
from embedded.private import Secrets
from embedded.settings import PORTS
from tasks.settings import PROJECT, settings


@pytest.fixture
def platform(home: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform that was started once; what the command sets is undone."""
    (home / "ports.json").write_text(json.dumps({name: 20_000 + number for number, name in enumerate(PORTS)}))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return Platform(home)


def test_every_word_reads_the_addresses_and_the_logins_of_the_platform(
    platform: Platform, home: Path
) -> None:
    point_to(platform)
    place = Place()
    secrets = Secrets.of(home)
    assert (place.airflow_url, place.is_remote, place.runs) == (platform.addresses.airflow, False, True)
    assert str(home) in place.name
    assert place.settings.airflow_password.get_secret_value() == secrets.airflow_password
    assert settings().gateway_token.get_secret_value() == secrets.gateway_token
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == secrets.mlflow_password


def test_another_users_platform_is_not_asked(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_home: Path) -> Secrets:
        raise PermissionError(13, "Permission denied", "secrets.json")

    monkeypatch.setattr(Secrets, "of", unreadable)
    with pytest.raises(PlatformError, match=r"another user's: secrets.json is not for you"):
        point_to(platform)


def test_it_starts_in_the_environment_of_the_steps_whatever_folder_it_is_called_from(tmp_path: Path) -> None:
    for name in ("cli", "embedded", "tasks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('a folder of the caller')")
    done = subprocess.run(
        [PROJECT / "perennial", "models", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PERENNIAL_ON": "processes", "PERENNIAL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "review_sentiment" in [model["model"] for model in json.loads(done.stdout)["models"]]
