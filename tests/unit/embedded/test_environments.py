"""A model whose requirements cannot be installed, or have no hashes, keeps no other from its environment."""

import sys
from pathlib import Path

import pytest

from embedded import environments
from tasks import settings as of_tasks
from tasks.errors import InvalidProject
from tasks.settings import PROJECT, Settings

UV = """#!/bin/sh
for last; do :; done
case "$*" in
venv*)
    mkdir -p "$last/bin" && touch "$last/bin/python"
    echo "VIRTUAL_ENV='$last'" > "$last/bin/activate" ;;
*) ! grep nosuchpkg "$last" >/dev/null || { echo "nosuchpkg was not found" >&2; exit 1; } ;;
esac
"""
PINNED = "this==1.0 \\\n    --hash=sha256:00\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two models that bring requirements, `bad` and `good`, with a stand-in for uv."""
    for image in environments.LOCKS.values():
        (tmp_path / "containers" / image).mkdir(parents=True)
        (tmp_path / "containers" / image / "requirements.txt").touch()
    for name in ("bad", "good"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "requirements.txt").write_text(PINNED)
    uv = tmp_path / ".perennial" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(UV)
    uv.chmod(0o700)
    places = {"PROJECT": tmp_path, "STATE": uv.parents[1], "UV": uv, "ENVIRONMENTS": uv.parents[1] / "envs"}
    for name, value in places.items():
        monkeypatch.setattr(environments, name, value)
    for name in ("make_uv", "check_disk"):
        monkeypatch.setattr(environments, name, lambda: None)
    monkeypatch.setattr(environments, "_add", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["environments.py"])
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PINNED.replace("this", "nosuchpkg"), "cannot be installed.*nosuchpkg was not found"),
        ("xgboost==2.0.0\n", r":1: 'xgboost==2.0.0' has no hash.*--generate-hashes"),
    ],
)
def test_a_model_that_cannot_have_its_environment_is_told_and_alone_goes_without(
    text: str, said: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "models" / "bad" / "requirements.txt"
    file.write_text(text)
    made = Settings(environments=environments.ENVIRONMENTS)

    environments.main()

    assert "models/bad/requirements.txt" in capsys.readouterr().err
    with pytest.raises(InvalidProject, match=f"models/bad/requirements.txt.*{said}"):
        made.python("bad")
    assert made.python("good") == environments.ENVIRONMENTS / "model-good" / "bin" / "python"
    assert (environments.ENVIRONMENTS / "control" / ".made-from").exists()

    file.write_text(PINNED)
    environments.main()
    assert made.python("bad") == environments.ENVIRONMENTS / "model-bad" / "bin" / "python"


def test_a_shared_environment_that_cannot_be_made_ends_the_set_up(project: Path) -> None:
    (project / "containers" / "ml" / "requirements.txt").write_text("nosuchpkg==1.0")
    with pytest.raises(SystemExit, match="Set-up failed"):
        environments.main()


def test_a_file_that_is_no_text_keeps_nobody_else_from_an_environment(project: Path) -> None:
    (project / "models" / "bad" / "requirements.txt").write_bytes(b"\xff\xfe==1\n")
    environments.main()
    assert (environments.ENVIRONMENTS / "model-good" / ".made-from").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# why\nthis==1 \\\n  --hash=sha256:00\n\nother==2 # why\n", ":5: 'other==2'"),
        ("this==1 \\\n  ; python_version > '3'\n", ":1: "),
        ("-r other.txt\n", ":1: '-r other.txt'"),
        ("-e .\n", ":1: '-e .'"),
    ],
)
def test_a_line_without_a_hash_is_named(text: str, line: str, project: Path) -> None:
    file = project / "models" / "bad" / "requirements.txt"
    file.write_text(text)
    with pytest.raises(environments.NotMade) as refused:
        environments.require_hashes(file)
    assert f"models/bad/requirements.txt{line}" in str(refused.value)


def test_the_shipped_models_are_pinned_by_hash() -> None:
    for file in PROJECT.glob("models/*/requirements.txt"):
        environments.require_hashes(file)


def test_the_image_of_the_steps_asks_for_hashes_too() -> None:
    dockerfile = (PROJECT / "containers" / "ml" / "Dockerfile").read_text()
    of_models = dockerfile.partition(" AS model-environments")[2].partition("\nFROM ")[0]
    assert "uv pip sync --quiet --require-hashes" in of_models
    assert "--verify-hashes" not in of_models


def test_who_runs_a_step_looks_where_the_set_up_wrote() -> None:
    assert of_tasks.NOT_MADE == environments.NOT_MADE
