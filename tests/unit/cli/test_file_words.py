"""`perennial check-data` and `check-drift`: with which code they end, and what they refuse to start."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Ask


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.csv"
    path.write_text("size,kind\n" + "".join(f"{place % 7}.5,a{place % 3}\n" for place in range(60)))
    return path


def words_of(reference: Path, file: Path) -> list[list[str]]:
    return [
        ["check-data", str(file), "--like", str(reference)],
        ["check-drift", "--reference", str(reference), "--current", str(file)],
    ]


def test_a_broken_reference_is_a_wrong_call_and_a_broken_file_is_rejected(
    ask: Ask, sound: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("")
    for words in words_of(broken, sound):
        answer = ask(*words)
        assert (answer.code, answer.shown) == (2, "")
        assert "The reference cannot be read: broken.csv" in answer.said
    assert [ask(*words).code for words in words_of(sound, broken)] == [4, 4]


def test_a_page_and_json_are_not_mixed_in_one_stream(ask: Ask, sound: Path) -> None:
    for words in words_of(sound, sound):
        answer = ask(*words, "--html", "-", "--json")
        assert (answer.code, answer.shown) == (2, "")
        assert ask(*words, "--json").code == 0
