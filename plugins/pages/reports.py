"""Serve the reports of the runs folder, local or on an object store, to those who are logged in to Airflow.

A report shows values from the data, so its page is sandboxed: it has an origin of its own, reaches neither
Airflow's cookie nor the network, and loads nothing.
"""

import html
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from upath import UPath

from plugins.runners.connections import reach_store
from tasks.errors import PerennialError
from tasks.settings import settings
from tasks.stores.faults import explain
from tasks.stores.files import at, entries, is_local

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
        _reach_store()
        root = at(settings().runs)
        found = _local(_inside(path)) if is_local(root) else _object(root, path)
    except (FileNotFoundError, ValueError) as error:
        raise _missing(path) from error
    except Exception as error:
        if reason := error if isinstance(error, PerennialError) else explain(error):
            _reach_store.cache_clear()  # the connection may be what was wrong
            raise HTTPException(503, str(reason), headers=HEADERS) from error
        if isinstance(error, OSError):  # a name that no file can have: too long, a null byte, not Unicode
            raise _missing(path) from error
        raise
    if found is None:
        raise _missing(path)
    return found


@cache
def _reach_store() -> None:
    reach_store()


def _local(place: Path) -> Response | None:
    if place.is_dir():
        shown = (
            inner.name + "/" * inner.is_dir()
            for inner in place.iterdir()
            if inner.is_dir() or inner.suffix in MEDIA_TYPES
        )
        return HTMLResponse(_list(place.name, shown), headers=HEADERS)
    if place.suffix in MEDIA_TYPES and place.is_file():
        return FileResponse(place, media_type=MEDIA_TYPES[place.suffix], headers=HEADERS)
    return None


def _object(root: UPath, path: str) -> Response | None:
    """Raises ValueError for a path that could lead elsewhere:
    an object's name is taken as it is, so nothing is resolved.
    """
    parts = path.strip("/").split("/") if path.strip("/") else []
    if path.startswith("/") or {"", ".", ".."} & set(parts) or not path.isprintable() or "\\" in path:
        raise ValueError(f"{path!r} is not the name of an object below {root}")
    place = root.joinpath(*parts)
    if place.suffix in MEDIA_TYPES and place.is_file():
        return StreamingResponse(
            _chunks(place.open("rb")), media_type=MEDIA_TYPES[place.suffix], headers=HEADERS
        )
    shown = [
        entry.name + "/" * (not entry.is_file)
        for entry in entries(place)
        if not entry.is_file or PurePosixPath(entry.name).suffix in MEDIA_TYPES
    ]
    return HTMLResponse(_list(place.name, shown), headers=HEADERS) if shown else None


def _chunks(opened: Any) -> Iterator[bytes]:
    with opened as file:
        while chunk := file.read(1 << 20):
            yield chunk


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


def _list(folder: str, names: Iterable[str]) -> str:
    def row(name: str) -> str:
        target = html.escape(f"{folder}/{name.rstrip('/')}", quote=True)
        return f'<li><a href="{target}">{html.escape(name)}</a></li>'

    title = html.escape(folder)
    rows = "".join(row(name) for name in sorted(names)) or "<li>no reports</li>"
    return (
        "<!doctype html><html lang=en><meta "
        f"charset=utf-8><title>{title}</title><h1>{title}</h1><ul>{rows}</ul></html>"
    )
