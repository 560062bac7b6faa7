"""The example of docs/releases.md names every field of a release, with its default."""

from typing import Any

import yaml

from tasks.spec import ReleaseSpec
from tests.documents import Block, blocks

NOT_THE_DEFAULT = {"mode"}
ELSEWHERE = {"cloud_run"}


def example() -> Block:
    """The longest of the page."""
    return max(
        (each for each in blocks("yaml") if each.page.name == "releases.md"), key=lambda each: len(each.text)
    )


def test_the_example_names_every_field() -> None:
    defaults: dict[str, Any] = ReleaseSpec().model_dump(mode="json")

    assert paths(yaml.safe_load(example().text)["release"]) == paths(defaults) - ELSEWHERE


def test_what_the_example_says_is_the_default() -> None:
    said = ReleaseSpec.model_validate(yaml.safe_load(example().text)["release"])
    changed = {
        name for name in ReleaseSpec.model_fields if getattr(said, name) != getattr(ReleaseSpec(), name)
    }

    assert changed == NOT_THE_DEFAULT


def paths(fields: dict[str, Any], above: str = "") -> set[str]:
    """Every field of a section and of those below it, `step.seconds`."""
    found = set()
    for name, value in fields.items():
        found |= paths(value, f"{above}{name}.") if isinstance(value, dict) else {above + name}
    return found
