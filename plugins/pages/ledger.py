"""Give the ledger, as JSON, to those who are logged in to Airflow: `perennial` reads it so from elsewhere."""

from typing import Any

from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI, HTTPException

from tasks.errors import PerennialError
from tasks.ledger import entries

app = FastAPI(title="Perennial's ledger", openapi_url=None, dependencies=[Depends(requires_authenticated())])


@app.get("/entries")
def history(model: str | None = None) -> dict[str, Any]:
    """Every entry, oldest first; of one model where it is named."""
    return {"entries": [entry.model_dump(mode="json") for entry in entries.history(model)]}


@app.get("/broken")
def broken() -> dict[str, list[int]]:
    """The numbers of the entries that somebody changed or removed."""
    try:
        return {"broken": entries.broken_entries()}
    except PerennialError as error:
        raise HTTPException(503, str(error)) from error
