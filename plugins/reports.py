"""Serve the reports of the runs folder to those who are logged in to Airflow.

A report shows values from the data, so its page is sandboxed: it has an origin of its own, reaches neither Airflow's cookie nor
the network, and loads nothing.
"""

import html
from pathlib import Path

from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, Response

from tasks.settings import settings

MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}
HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}

app = FastAPI(title="Perennial's reports", openapi_url=None, dependencies=[Depends(requires_authenticated())])


@app.get("/runs/{path:path}")
def report(path: str) -> Response:
    """A report, or the list of those in a step's folder."""
    try:
        place = _inside(path)
        if place.is_dir():
            return HTMLResponse(_list(place), headers=HEADERS)
        if place.suffix in MEDIA_TYPES and place.is_file():
            return FileResponse(place, media_type=MEDIA_TYPES[place.suffix], headers=HEADERS)
    except (OSError, ValueError) as error:  # a name that no file can have: too long, a null byte, not Unicode
        raise _missing(path) from error
    raise _missing(path)


def _inside(path: str) -> Path:
    """The real place of `path`, links resolved.

    Raises:
        ValueError: It lies outside the runs folder.
    """
    root = Path(settings().runs).resolve()
    place = (root / path).resolve()
    if not place.is_relative_to(root):
        raise ValueError(f"{place} is not below {root}")
    return place


def _missing(path: str) -> HTTPException:
    return HTTPException(404, f"There is no report {path!r} in the runs folder.", headers=HEADERS)


def _list(folder: Path) -> str:
    def row(place: Path) -> str:
        name = html.escape(place.name + "/" * place.is_dir(), quote=True)
        return f'<li><a href="{html.escape(folder.name, quote=True)}/{name}">{name}</a></li>'

    shown = sorted(place for place in folder.iterdir() if place.is_dir() or place.suffix in MEDIA_TYPES)
    title = html.escape(folder.name)
    rows = "".join(row(place) for place in shown) or "<li>no reports</li>"
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1><ul>{rows}</ul></html>"
