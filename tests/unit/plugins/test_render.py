"""A page is drawn whatever an entry says, and leads nowhere that a browser must not go."""

import json

import pytest

from plugins.pages.ledger import AsciiJSON
from plugins.pages.links import report_page
from plugins.pages.render import page
from tasks.contracts import Action
from tasks.ledger import entries
from tasks.overview.evidence import evidence_of

pytestmark = pytest.mark.usefixtures("home")
HALF = json.loads('"\\ud83d"')
"""Half of a character, as a request may send it in JSON."""


def test_half_a_character_is_shown_as_its_number() -> None:
    entry = entries.record(
        model="m", actor="airflow:drift_m/1/drift", action=Action.SILENCE, before=None, after="silenced",
        why="A value is new.", evidence={"value": HALF},
    )  # fmt: skip
    [kept] = entries.history()

    shown = page("decision.html", title="t", model="m", entry=kept, evidence=evidence_of(kept))
    told = AsciiJSON({"entries": [entry.model_dump(mode="json")]})

    assert b"\\ud83d" in bytes(shown.body)
    assert json.loads(bytes(told.body))["entries"][0]["evidence"] == {"value": HALF}


@pytest.mark.parametrize("url", ["weird://b/a.html", "javascript:alert(1)", "data:text/html,x", "//x/y", ""])
def test_a_report_of_no_store_has_no_page(url: str) -> None:
    assert report_page(url) == ""
