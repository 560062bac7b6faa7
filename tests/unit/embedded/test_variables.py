"""A variable of ours that nothing reads is told at the start, and the list of the others is whole."""

import re
import subprocess
from pathlib import Path

import pytest
from perennial_engine.settings import EngineSettings
from perennial_gateway.settings import GatewaySettings

from embedded import variables
from embedded.errors import PlatformError
from embedded.platform import Platform
from embedded.settings import EmbeddedSettings
from tasks.settings import Settings
from tests.conftest import PROJECT

LIST = "embedded/variables.py"
OTHERS = {".md", ".txt", ".gz", ".svg"}


def read_by_something() -> set[str]:
    """The names in our programs and configurations, and those of the fields of the settings classes."""
    classes = (Settings, EmbeddedSettings, EngineSettings, GatewaySettings)
    found = {f"PERENNIAL_{name.upper()}" for kind in classes for name in kind.model_fields}
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if not name.startswith(("tests/", "docs/")) and Path(name).suffix not in OTHERS and name != LIST:
            text = (PROJECT / name).read_text(encoding="utf-8")
            found |= set(re.findall(r"\bPERENNIAL_[A-Z0-9_]*[A-Z0-9]\b", text))
    return found


def test_every_variable_that_something_reads_is_known_and_no_other() -> None:
    of_images = {f"PERENNIAL_{name}" for name in variables.IMAGES}
    assert read_by_something() | of_images == variables.KNOWN


def test_a_misspelt_variable_is_told_with_the_one_that_is_probably_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "PERENNIAL_GATWAY_PORT=18080\nHTTPS_PORT=8443\nPERENNIAL_GATEWAY_PORT=18081\n"
    )
    monkeypatch.setattr(variables, "PROJECT", tmp_path)
    monkeypatch.setenv("PERENNIAL_ZZZ", "a secret")

    said = list(variables.tell_unread())

    assert said == [
        f"Nothing reads PERENNIAL_GATWAY_PORT (from {tmp_path}/.env): do you mean PERENNIAL_GATEWAY_PORT?",
        "Nothing reads PERENNIAL_ZZZ (from the environment): correct or remove it.",
    ]


def test_a_start_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_GATWAY_PORT", "18080")
    said: list[str] = []
    with pytest.raises(PlatformError):
        Platform(tmp_path, environments=tmp_path / "none").start(said.append)
    assert any("PERENNIAL_GATWAY_PORT" in line for line in said)
