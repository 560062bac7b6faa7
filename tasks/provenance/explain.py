"""Explain one thing as a step does: for who cannot reach the records, and as a page of the run."""

from tasks.contracts import Explained, ExplainRequest
from tasks.provenance.page import page
from tasks.provenance.why import why
from tasks.stores import files


def explain(request: ExplainRequest) -> Explained:
    """Explain the subject, and write the auditors' page into the step's folder.

    Raises:
        NotFound: Nothing has this name, or several things have.
        LedgerBroken: The ledger cannot be read.
    """
    found = why(request.subject)
    url = files.write_text(request.context.work_url, "why.html", text=page(found))
    return Explained(explanation=found, report_url=url)
