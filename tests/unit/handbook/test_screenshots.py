"""Which pictures there are, and that documents show them."""

import pytest

from handbook.screenshots import FOLDER, PICTURES, Picture
from tasks.settings import PROJECT


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_there_and_a_document_shows_it(picture: Picture) -> None:
    documents = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    assert any(f"images/{picture.name}.png)" in each.read_text(encoding="utf-8") for each in documents)
    assert (FOLDER / f"{picture.name}.png").is_file()


def test_no_picture_is_kept_that_no_program_takes() -> None:
    assert {file.stem for file in FOLDER.glob("*.png")} == {picture.name for picture in PICTURES}
