"""How the Models pages are drawn: HTML that loads nothing but our stylesheet and script, all escaped."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plugins.pages.links import mlflow_page, prefix, report_page
from tasks.overview.details import spark_of
from tasks.overview.evidence import told
from tasks.overview.words import title_of, tone_of
from tasks.percent import percent

HERE = Path(__file__).parent
STATIC = HERE / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
LONGEST = 1200
"""A sentence may name a value of the data, which may be as long as it likes."""


def page(template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page, or a piece of one."""
    html = TEMPLATES.get_template(template).render(**shown, now=datetime.now(UTC), prefix=prefix())
    content = html.encode("utf-8", "backslashreplace")  # JSON can hold half a character, and UTF-8 cannot
    return HTMLResponse(content, status_code=status, headers=HEADERS)


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _ago(at: datetime | None, now: datetime) -> str:
    """How long ago something was, or in how long it will be, in its largest unit."""
    if at is None:
        return ""
    seconds = (now - at).total_seconds()
    size, name = next(
        (each for each in ((86400, "day"), (3600, "hour"), (60, "minute")) if abs(seconds) >= each[0]),
        (1, "second"),
    )
    count = int(abs(seconds) // size)
    told_as = f"{count} {name}{'' if count == 1 else 's'}"
    return f"{told_as} ago" if seconds >= 0 else f"in {told_as}"


def _short(text: object, letters: int = LONGEST) -> str:
    words = str(text)
    return words if len(words) <= letters else f"{words[: letters - 1]}…"


def _who(actor: str) -> str:
    """Who decided, as people say it: a person's name, or the DAG whose task it was."""
    by, _, asked_by = actor.partition(", asked for by ")
    kind, _, rest = by.partition(":")
    name = {"airflow": f"the DAG {rest.partition('/')[0]}", "person": rest}.get(kind, actor)
    return f"{name}, asked for by {asked_by}" if asked_by else name


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(
    time=_time, ago=_ago, short=_short, who=_who, as_json=_as_json, told=told, path=quote
)
TEMPLATES.globals.update(
    percent=percent,
    spark_of=spark_of,
    title_of=title_of,
    tone_of=tone_of,
    report_page=report_page,
    mlflow_page=mlflow_page,
)
