"""A card as one HTML file that loads nothing: a pure function, whoever serves it.

The policy allows that one style alone, by its hash, so that it also holds where the server sends it.
"""

import base64
import hashlib
from importlib.resources import files

from markupsafe import Markup

from tasks.contracts import ModelCard
from tasks.provenance.card.sections import sections_of
from tasks.provenance.forest import Forest, differences_of, forest, scores_of, slices_of
from tasks.provenance.page import TEMPLATES

STYLE = files("tasks.provenance").joinpath("templates", "card.css").read_text(encoding="utf-8").strip()
CONTENT_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)


def html_of(card: ModelCard) -> str:
    """The page. Whatever data, people and models say is text there, never markup."""
    return TEMPLATES.get_template("card.html").render(
        card=card,
        sections=sections_of(card),
        plots={"metrics": _plots(card)},
        policy=CONTENT_POLICY,
        style=Markup(STYLE),  # noqa: S704 - a file of ours
    )


def _plots(card: ModelCard) -> list[tuple[str, Forest]]:
    report = card.evaluation
    if report is None:
        return []
    drawn = (
        (f"{report.primary_metric} of each model with its interval", forest(scores_of(report))),
        (
            f"Difference in {report.primary_metric}: this version minus the other, on the same rows",
            forest(differences_of(report), with_zero=True),
        ),
        (f"{report.primary_metric} on each slice", forest(slices_of(report))),
    )
    return [(label, plot) for label, plot in drawn if plot is not None]
