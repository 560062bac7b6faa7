"""Where the page lies follows from the decision, and a page that cannot be drawn says so in its place."""

from pathlib import Path

import pytest

from tasks.monitoring.page import write
from tasks.monitoring.page.of_check import Checked
from tasks.monitoring.page.write import page_url, write_page
from tests.unit.monitoring.page.reader import Reader
from tests.unit.monitoring.page.world import SCRIPT


def test_the_page_of_a_decision_has_the_same_url_before_and_after_it_is_recorded(quiet: Checked) -> None:
    decision = quiet.decision.model_copy(update={"ledger_hash": None})
    url = page_url(decision, "/store/runs")
    recorded = decision.model_copy(update={"page_url": url, "ledger_hash": "ab"})
    assert page_url(recorded, "/store/runs") == url
    assert page_url(decision.model_copy(update={"window_rows": 401}), "/store/runs") != url


def test_a_page_that_cannot_be_drawn_is_one_that_says_so(
    changed: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Checked) -> None:
        raise ZeroDivisionError(f"no room {SCRIPT}")

    monkeypatch.setattr(write, "page_of", fail)

    url = write_page(str(tmp_path / "check.html"), changed)

    text = Path(url).read_text(encoding="utf-8")
    shown = Reader(text)
    assert "could not be drawn, which changes nothing in the verdict: ZeroDivisionError" in shown.text
    assert changed.decision.why in shown.text
    assert str(changed.decision.ledger_hash) in shown.text
    assert SCRIPT not in text
