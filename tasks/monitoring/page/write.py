"""Write the page of a drift check beside its report.

Its URL is known before the page is, so that the ledger's entry of the decision has it, and the page can name
that entry. It follows from the decision: the same check again has the same page.
"""

import hashlib

from tasks.contracts import DriftDecision
from tasks.monitoring.page.contents import Page
from tasks.monitoring.page.of_check import Checked, follows_of, page_of
from tasks.monitoring.page.render import render, render_failed
from tasks.monitoring.page.words import VERDICTS
from tasks.stores import files


def page_url(decision: DriftDecision, work_url: str) -> str:
    """Where the page of this decision will lie."""
    told = decision.model_copy(update={"page_url": None, "ledger_hash": None}).model_dump_json()
    return str(files.at(work_url, f"check-{hashlib.sha256(told.encode()).hexdigest()[:16]}.html"))


def write_page(url: str, checked: Checked) -> str:
    """Write the page to the URL that `page_url` gave, and return it.

    A page that cannot be drawn changes nothing in what was decided, and the URL is in the ledger by then: a
    page that says so stands in its place.
    """
    try:
        text = render(page_of(checked))
    except Exception as error:  # noqa: BLE001 - whatever it is, the decision stands
        text = render_failed(_bare(checked.decision), f"{type(error).__name__}: {error}")
    return files.write_text(url, text=text)


def _bare(decision: DriftDecision) -> Page:
    return Page(
        what="Drift check",
        about=decision.model,
        span=f"{decision.window_start.isoformat()} to {decision.window_end.isoformat()}",
        verdict=decision.verdict,
        heading=VERDICTS[decision.verdict][0],
        follows=follows_of(decision),
        why=decision.why,
        signals=decision.signals,
        record=(("Ledger entry", decision.ledger_hash or ""),),
    )
