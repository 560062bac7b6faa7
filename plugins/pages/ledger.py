"""Give the ledger, and which trainings are late, as JSON, to those who are logged in to Airflow: `perennial`
reads it so from elsewhere.
"""

import json
from typing import Any

from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse

from tasks.errors import PerennialError
from tasks.ledger import entries
from tasks.ledger.verify import faults, verify, verify_end
from tasks.monitoring.alerts.late import late_runs
from tasks.monitoring.slo.figures import newest


class AsciiJSON(JSONResponse):
    """JSON that says half a character, too, which evidence may have and UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


app = FastAPI(
    title="Perennial's ledger",
    openapi_url=None,
    dependencies=[Depends(requires_authenticated())],
    default_response_class=AsciiJSON,
)


@app.get("/entries")
def history(model: str | None = None) -> dict[str, Any]:
    """Every entry, oldest first; of one model where it is named."""
    return {"entries": [entry.model_dump(mode="json") for entry in entries.history(model)]}


@app.get("/late")
def late() -> dict[str, Any]:
    """The trainings that go on past their deadline."""
    return {"late": [run.model_dump(mode="json") for run in late_runs()]}


@app.get("/figures")
def figures() -> dict[str, Any]:
    """How each model stood by its objectives when somebody looked last."""
    return {"figures": [each.model_dump(mode="json") for each in newest()]}


@app.get("/broken")
def broken(*, end: bool = False) -> dict[str, list[Any]]:
    """What is wrong with it: the numbers of the entries that are meant, and a sentence each.

    Args:
        end: Look only at the newest entries, and at the newest heads in the store.
    """
    try:
        found = faults(verify_end() if end else verify())
    except PerennialError as error:
        raise HTTPException(503, str(error)) from error
    return {
        "broken": sorted({each.sequence for each in found if each.sequence is not None}),
        "findings": [each.why for each in found],
    }
