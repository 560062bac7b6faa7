"""`benchmarks/gateway.py --against`: another commit's gateway runs on that commit's own packages."""

import subprocess
from pathlib import Path

import pytest
import typer

from benchmarks import gateway


def test_a_lock_that_is_this_trees_needs_no_other_environment() -> None:
    lock = (gateway.PROJECT / gateway.LOCK).read_text(encoding="utf-8")
    assert gateway.python_for(lock, "HEAD") == gateway.PYTHON


def test_another_lock_gets_an_environment_of_its_own_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gateway, "PROJECT", tmp_path)
    monkeypatch.setattr(gateway, "ENVIRONMENTS", tmp_path / "benchmarks")
    (tmp_path / gateway.LOCK).parent.mkdir(parents=True)
    (tmp_path / gateway.LOCK).write_text("of this tree")

    python = gateway.python_for("# that of a commit that needed nothing\n", "f00")
    assert python.is_relative_to(tmp_path / "benchmarks")
    assert subprocess.run([python, "-c", "import sys; print(sys.prefix)"], check=True, capture_output=True)
    assert "The packages of f00's gateway are installed" in capsys.readouterr().out
    assert gateway.python_for("# that of a commit that needed nothing\n", "f00") == python
    assert capsys.readouterr().out == "", "it is there"

    with pytest.raises(typer.Exit) as ended:
        gateway.python_for(f"{tmp_path / 'missing-1.0-py3-none-any.whl'}\n", "f01")
    assert ended.value.exit_code == gateway.CANNOT
    said = capsys.readouterr().err
    assert "that the gateway of f01 needs cannot be installed here. uv said:" in said
    assert "missing-1.0" in said


def test_what_is_no_commit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        gateway.lock_of("no_such_commit")
    assert "no_such_commit is no commit here, or has no containers/gateway" in capsys.readouterr().err
