"""`perennial pack` and `perennial verify`: from a platform to a machine that has none."""

import json
from pathlib import Path

import pytest

from tasks.settings import settings
from tests.unit.cli.conftest import Ask, ask
from tests.unit.provenance.test_pack import KEY, changed
from tests.unit.provenance.world import MODEL, World

__all__ = ["ask"]


@pytest.fixture
def platform(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform runs here, whose Airflow nothing of this asks; its ledger was kept without a key."""
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("PERENNIAL_URL", raising=False)
    settings.cache_clear()


@pytest.mark.usefixtures("platform")
def test_a_pack_is_written_on_the_platform_and_verified_without_one(
    world: World, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, key = tmp_path / "v2.pack", tmp_path / "key"
    words = ("pack", MODEL, "2", "--to", str(file), "--key-to", str(key))
    refused = ask(*words)
    assert (refused.code, file.exists()) == (20, False)
    assert "PERENNIAL_LEDGER_KEY is not set" in refused.said

    _sign_heads(monkeypatch)
    written = ask(*words)
    assert written.code == 0, written.said
    assert key.read_text().strip() in written.said
    assert key.read_text().strip() in ask("pack", MODEL, "2", "--to", str(tmp_path / "again")).said
    told = json.loads(ask(*words, "--json").shown)
    assert told["bytes"] == file.stat().st_size

    for name in ("PERENNIAL_AIRFLOW_URL", "PERENNIAL_LEDGER_KEY", "PERENNIAL_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "nothing"))
    settings.cache_clear()
    held = ask("verify", str(file), "--key", str(key))
    assert (held.code, held.said) == (0, "")
    assert held.shown.startswith(f"The pack of version 2 of {MODEL}")
    assert json.loads(ask("verify", str(file), "--json").shown)["key_is_known"] is False
    assert "Not checked: whose key" in ask("verify", str(file)).shown

    file.write_bytes(changed(file.read_bytes(), 100, 1))
    found = ask("verify", str(file), "--key", str(key))
    assert found.code == 6
    assert "Refused: README.txt: its content was changed." in found.said


def _sign_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.ledger import entries, heads

    monkeypatch.setenv("PERENNIAL_LEDGER_KEY", KEY)
    settings.cache_clear()
    for place in heads.names():
        heads.set_aside(*place)
    for place in entries.links():
        heads.keep(*place)


def test_what_cannot_be_verified_is_told(ask: Ask, tmp_path: Path) -> None:
    missing = ask("verify", str(tmp_path / "none"))
    assert (missing.code, "cannot be read: No such file" in missing.said) == (20, True)
    (tmp_path / "key").write_text("my key")
    (tmp_path / "pack").write_text("A text.")
    wrong = ask("verify", str(tmp_path / "pack"), "--key", str(tmp_path / "key"))
    assert (wrong.code, "is no public key: 64 hexadecimal digits" in wrong.said) == (20, True)
    other = ask("verify", str(tmp_path / "pack"))
    assert (other.code, "The file is too short to be a pack" in other.said) == (6, True)
