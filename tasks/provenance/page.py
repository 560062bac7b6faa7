"""An explanation as one HTML file that loads nothing: for auditors, and for who looks again in a year."""

import json
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.contracts import Explanation
from tasks.contracts.door import in_words
from tasks.provenance.forest import differences_of, forest, scores_of, slices_of
from tasks.provenance.numbers import tell_number
from tasks.provenance.picture import picture_of
from tasks.provenance.subject import told

TEMPLATES = Environment(
    loader=PackageLoader("tasks.provenance"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(found: Explanation) -> str:
    """The page. Whatever is shown of data, of names and of people's words is text there, never markup."""
    report = found.evaluation
    plots = {
        "scores": forest(scores_of(report)) if report else None,
        "differences": forest(differences_of(report), with_zero=True) if report else None,
        "slices": forest(slices_of(report)) if report else None,
    }
    return TEMPLATES.get_template("page.html").render(
        found=found,
        title=told(found.subject),
        picture=picture_of(found),
        plots=plots,
        as_json=_as_json,
        number=tell_number,
        time=_time,
        in_words=in_words,
    )


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def _time(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
