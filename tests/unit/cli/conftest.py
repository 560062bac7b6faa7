"""The command in this process: what it ends with, what it shows and what it says beside that."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.__main__ import main

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
Ask = Callable[..., "Answer"]


@dataclass(frozen=True)
class Answer:
    code: int
    shown: str
    said: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines of a pipe below their columns."""
        return [line.split("\t") for line in self.shown.splitlines()[1:]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run words; `columns` makes standard output a terminal of this width, whose colours
    are left out."""

    def run(*words: str, columns: int | None = None) -> Answer:
        with monkeypatch.context() as patched:
            if columns:
                patched.setattr(sys.stdout, "isatty", lambda: True)
                patched.setenv("COLUMNS", str(columns))
            with pytest.raises(SystemExit) as ended:
                main(list(words))
        told = capsys.readouterr()
        shown = COLOURS.sub("", told.out) if columns else told.out
        return Answer(int(ended.value.code or 0), shown, told.err)

    return run


@pytest.fixture
def ledger(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real ledger of three decisions about one model, of a platform that does not run."""
    from tasks.ledger import entries

    for name in ("PERENNIAL_URL", "PERENNIAL_AIRFLOW_URL"):
        monkeypatch.delenv(name, raising=False)
    for action, before, after in (("gate", None, "promote"), ("deploy", None, "1"), ("champion", None, "1")):
        entries.record(
            model="review_sentiment",
            actor=f"airflow:train_review_sentiment/manual__2026-11-28/{action}",
            action=action,
            before=before,
            after=after,
            why="accuracy 0.91\nis above 0.8",
            evidence={"action": action},
        )
