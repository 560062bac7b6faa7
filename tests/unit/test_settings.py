"""A wrong setting is told in a sentence that names the variable, its value and where it comes from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.settings import EmbeddedSettings
from plugins.runners import RUNNERS
from tasks.errors import EXIT_INVALID, InvalidSettings
from tasks.settings import PROJECT, Settings, settings
from tasks.variables import read, read_what_is_right


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .env that both settings classes read instead of the clone's."""
    file = tmp_path / ".env"
    file.touch()
    for kind in (Settings, EmbeddedSettings):
        monkeypatch.setitem(kind.model_config, "env_file", file)
    return file


@pytest.mark.parametrize(
    ("kind", "name", "value", "said"),
    [
        (Settings, "LANDING_POLL_SECONDS", "often", "'often' should be a number"),
        (Settings, "LANDING_POLL_SECONDS", "0", "'0' should be greater than 0"),
        (Settings, "LANDING_POLL_SECONDS", "inf", "'inf' should be a finite number"),
        (Settings, "RUNNER", "dokcer", "'dokcer' should be 'process', 'docker' or 'kubernetes'"),
        (Settings, "STEP_CPUS", "-1", "'-1' should be greater than 0"),
        (Settings, "MODELS", "", "is empty, but has to name a folder"),
        (EmbeddedSettings, "AIRFLOW_PORT", "abc", "'abc' should be a whole number"),
        (EmbeddedSettings, "GATEWAY_PORT", "70000", "'70000' should be less than 65536"),
        (EmbeddedSettings, "DAGS_PAUSED", "maybe", "'maybe' should be true or false"),
        (EmbeddedSettings, "AIRFLOW_OPTIONS", "core", "is no JSON document"),
        (EmbeddedSettings, "AIRFLOW_OPTIONS", '{"core": 1}', "core should be a valid dictionary"),
        (EmbeddedSettings, "HOME", "", "is empty, but has to name a folder"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_its_source(
    kind: type[Settings] | type[EmbeddedSettings],
    name: str,
    value: str,
    said: str,
    env_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable = f"PERENNIAL_{name}"
    monkeypatch.delenv(variable, raising=False)
    env_file.write_text(f"{variable}='{value}'\n")
    with pytest.raises(InvalidSettings) as in_file:
        read(kind)
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettings) as in_environment:
        read(kind)

    assert f"{variable} (from {env_file}) " in str(in_file.value)
    assert f"{variable} (from the environment) " in str(in_environment.value)
    assert said in str(in_file.value)
    assert in_file.value.evidence == {"variables": [variable]}


def test_what_is_right_is_read_beside_what_is_wrong(env_file: Path, tmp_path: Path) -> None:
    env_file.write_text(f"PERENNIAL_HOME={tmp_path / 'state'}\nPERENNIAL_AIRFLOW_PORT=abc\n")

    found, fault = read_what_is_right(EmbeddedSettings, home=tmp_path / "state")

    assert (found.home, found.airflow_port) == (tmp_path / "state", None)
    assert "PERENNIAL_AIRFLOW_PORT" in str(fault)


def test_a_file_that_is_no_text_is_told(env_file: Path) -> None:
    env_file.write_bytes(b"PERENNIAL_HOME=/srv/\xff\n")
    with pytest.raises(InvalidSettings, match=r"\.env is not UTF-8"):
        read(Settings)
    assert read_what_is_right(EmbeddedSettings)[0].airflow_port is None


def test_whoever_asks_for_the_settings_of_this_process_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.cache_clear()
    monkeypatch.setenv("PERENNIAL_RUNNER", "dokcer")
    with pytest.raises(InvalidSettings, match="PERENNIAL_RUNNER") as raised:
        settings()
    assert raised.value.__suppress_context__, "Airflow shows the traceback of an import error"


@pytest.mark.parametrize(
    ("module", "arguments", "status"),
    [
        ("embedded", ("up",), 1),
        ("new_model.check", (), EXIT_INVALID),
        ("tasks", ("ingest", "--request", "request.json", "--result", "result.json"), EXIT_INVALID),
    ],
)
def test_a_program_refuses_a_wrong_setting_in_a_sentence(
    module: str, arguments: tuple[str, ...], status: int, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "PERENNIAL_HOME": str(tmp_path / "state"),
            "PERENNIAL_LANDING_POLL_SECONDS": "often",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status
    assert "PERENNIAL_LANDING_POLL_SECONDS (from the environment) is wrong: 'often'" in (
        ended.stdout + ended.stderr
    )
    assert "Traceback" not in ended.stdout + ended.stderr


def test_each_runner_that_the_settings_take_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RUNNERS:
        monkeypatch.setenv("PERENNIAL_RUNNER", name)
        assert read(Settings).runner == name
    assert set(RUNNERS) == set(Settings.model_fields["runner"].annotation.__args__)  # type: ignore[union-attr]
