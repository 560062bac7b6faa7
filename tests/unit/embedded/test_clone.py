"""Several clones on one machine do not meet: in a shell, on a
state folder, in an environment that was copied.
"""

import shutil
from pathlib import Path

import pytest

from embedded import clone, environments, services
from embedded.environments import Environment
from embedded.errors import OtherClone
from embedded.platform import Platform
from tasks.settings import CLONE, PROJECT


def test_what_another_clone_exported_to_the_shell_is_dropped_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CLONE, str(tmp_path))
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "theirs"))
    monkeypatch.setenv("PERENNIAL_AIRFLOW_PORT", "20999")
    clone.forget_another(services.exports())
    assert Platform().settings.airflow_port == 20_999, "set by the user, not by `make env`"
    assert Platform().home != tmp_path / "theirs"
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "ours"))
    clone.forget_another(services.exports())
    assert Platform().home == tmp_path / "ours"


def test_the_platform_of_another_clone_on_the_same_state_folder_is_left_alone(tmp_path: Path) -> None:
    clone.claim(tmp_path)
    clone.require_own(tmp_path)
    (tmp_path / "clone").write_text("/home/ann/perennial")
    with pytest.raises(
        OtherClone, match=r"the platform of another clone, /home/ann/perennial.*PERENNIAL_HOME"
    ):
        clone.require_own(tmp_path)


def test_steps_in_containers_are_told_apart_by_their_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def name(home: Path) -> str:
        ports = dict.fromkeys(services.PORTS, 1)
        return services.variables(Platform(home).settings, ports, services.Secrets())[
            "PERENNIAL_INSTALLATION"
        ]

    assert name(tmp_path / "one") == name(tmp_path / "one") != name(tmp_path / "two")
    monkeypatch.setenv("PERENNIAL_INSTALLATION", "team-a")
    assert name(tmp_path / "one") == "team-a"


def test_an_environment_that_was_copied_with_its_clone_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "one")
    made = Environment("control", PROJECT / "containers" / "airflow" / "requirements.txt")
    (made.folder / "bin").mkdir(parents=True)
    made.python.symlink_to("/bin/sh")
    (made.folder / "bin" / "activate").write_text(f"VIRTUAL_ENV='{made.folder}'\n")
    made.stamp.write_text(made.made_from())
    assert made.up_to_date()
    assert made.made_here()

    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "two")
    assert not made.up_to_date()
    assert not made.made_here()
