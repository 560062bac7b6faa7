"""The pages that a program writes say what the code says now, of every field, word and setting."""

import re

import pytest
from pydantic import BaseModel

from cli.app import load_words
from embedded.settings import EmbeddedSettings
from handbook.__main__ import written
from handbook.sentences import about, sentences
from tasks.settings import Settings
from tests.conftest import PROJECT

FILES = written()


class Base(BaseModel):
    """A base.

    Attributes:
        one: Of the base.
    """

    one: int = 1


class Example(Base):
    """What it is,
    in two lines.

    More.

    Attributes:
        two, three: Said of both, in a
            sentence of two lines.
        not_a_field: Nobody reads this.
    """

    two: int = 2
    three: int = 3
    four: int = 4


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_by_a_program_is_current(name: str) -> None:
    found = (PROJECT / name).read_text(encoding="utf-8")
    assert found == FILES[name], f"{name} is old: run `make docs`, or python -m handbook."


def test_the_sentences_of_a_class_are_its_own_and_its_bases() -> None:
    shared = "Said of both, in a sentence of two lines."
    assert sentences(Example) == {"one": "Of the base.", "two": shared, "three": shared}
    assert about(Example) == "What it is, in two lines.\n\nMore."


def test_the_reference_says_type_default_and_bounds() -> None:
    page = FILES["docs/reference-spec.md"]

    line = next(line for line in page.splitlines() if line.startswith("| `batch_size`"))

    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:4] == ["`batch_size`", "whole number", "`32`", "at least 1, at most 100,000"]
    assert cells[4] == "The most requests in one batch."
    assert "### release.steps" not in page
    assert re.search(r"^### release\.step$", page, re.MULTILINE)


def test_every_word_of_the_command_has_its_part() -> None:
    import typer

    page = FILES["docs/reference-command.md"]
    group = typer.main.get_command(load_words())
    assert set(group.commands) <= set(re.findall(r"^## perennial (\S+)$", page, re.MULTILINE))  # type: ignore[attr-defined]
    assert "### perennial token make" in page


def test_every_setting_has_its_line_and_no_secret_or_path_of_this_machine_is_in_it() -> None:
    page = FILES["docs/reference-settings.md"]
    for kind in (Settings, EmbeddedSettings):
        assert [name for name in kind.model_fields if f"| `PERENNIAL_{name.upper()}` |" not in page] == []
    assert str(PROJECT) not in "".join(FILES.values())
