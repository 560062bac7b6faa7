"""Every word: found by `--help`, quick to start, and clear where no platform runs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli import __version__, exits
from cli.app import WORDS
from tasks.settings import PROJECT, settings
from tests.unit.cli.conftest import Ask

HEAVY = {"mlflow", "torch", "pandas", "sqlalchemy", "requests", "pydantic", "rich.table"}


@pytest.fixture
def nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No platform runs, and none left a ledger."""
    for name in ("PERENNIAL_URL", "PERENNIAL_AIRFLOW_URL"):
        monkeypatch.delenv(name, raising=False)


def named(word: str) -> str:
    """A word as it is typed, by the name of its module."""
    return word.rstrip("_").replace("_", "-")


def test_help_names_every_word(ask: Ask) -> None:
    answer = ask("--help")
    assert answer.code == 0
    assert {named(word) for word in WORDS} <= set(answer.shown.split())
    assert ask().shown == answer.shown, "as nothing at all does"


def test_the_version_is_the_projects(ask: Ask) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert __version__ == project["version"]
    assert ask("--version").shown.startswith(f"perennial {__version__}")


def test_every_word_and_every_exit_code_is_documented() -> None:
    page = (PROJECT / "docs" / "command.md").read_text(encoding="utf-8")
    words = set(re.findall(r"^\| `([\w-]+)[^|]*` \|", page, re.MULTILINE))
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert words >= {named(word) for word in WORDS}
    assert codes == {value for name, value in vars(exits).items() if name.isupper() and "EXIT" not in name}


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from cli.app import load_words; load_words(); "
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["ledger"],
        ["train", "review_sentiment"],
        ["rollback", "review_sentiment", "--why", "It is rude."],
        ["answer", "review_sentiment", "poison", "--why", "They are rude."],
        ["decide", "review_sentiment", "day.csv", "release", "--why", "They are right."],
        ["decide", "review_sentiment", "sender:shop", "confirm", "--why", "It copies."],
        ["breaker", "review_sentiment", "close", "--why", "They were late."],
        ["withdraw", "review_sentiment", "--why", "It is rude."],
        ["ab", "report", "review_sentiment"],
        ["open"],
    ],
    ids=lambda words: words[0],
)
def test_where_no_platform_runs_that_is_said_with_a_code_of_its_own(
    ask: Ask, nowhere: None, words: list[str]
) -> None:
    answer = ask(*words)
    assert answer.code == 4
    assert "make start" in answer.said
    assert answer.shown == ""


@pytest.mark.parametrize(
    "words", [["answer", "m", "poison"], ["recall", "day.csv"], ["withdraw", "m"], ["breaker", "m", "close"]]
)
def test_a_decision_without_a_reason_is_refused(ask: Ask, nowhere: None, words: list[str]) -> None:
    answer = ask(*words, "--why", " ")
    assert answer.code == 2
    assert "say why in a sentence" in answer.said


def test_the_models_of_the_project_are_listed_without_a_platform(ask: Ask, nowhere: None) -> None:
    answer = ask("models")
    assert answer.code == 0
    assert ["review_sentiment", "-", "binary", "reviews"] in [row[:4] for row in answer.rows]


def test_a_wrong_setting_is_named(ask: Ask, nowhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("PERENNIAL_LANDING_POLL_SECONDS", "soon")
        settings.cache_clear()
        answer = ask("models")
    settings.cache_clear()
    assert answer.code == 20
    assert "PERENNIAL_LANDING_POLL_SECONDS" in answer.said
