"""The page itself, and the files that it loads: from the gateway, and nothing from anywhere else."""

from collections.abc import Mapping
from importlib.resources import files

from perennial_gateway.page import TEMPLATES
from perennial_gateway.routes import Served
from perennial_gateway.user_page.fields import about, fields_of, label_field, positive_class

SCRIPT, STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
NAMES = ("page.css", "page.js", "page_answer.js", "page_gateway.js")
FILES: Mapping[str, tuple[bytes, str]] = {
    name: (
        (files("perennial_gateway") / "user_page" / name).read_bytes(),
        SCRIPT if name.endswith(".js") else STYLE,
    )
    for name in NAMES
}
"""By the last part of their address, each beside the page's own: content and type."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Of the page. With no trusted type, no script of it can make markup of a text."""


def user_page(served: Served, *, with_token: bool) -> str:
    """The page of the version that serves.

    Args:
        with_token: Whether the calls that it makes need a token.
    """
    route = served.route
    opinion = label_field(route.label_schema)
    return TEMPLATES.get_template("user_page.html").render(
        route=route,
        since=served.since,
        about=about(route.input_schema),
        fields=fields_of(route.input_schema, route.input_example),
        opinion=opinion,
        positive=positive_class(opinion),
        with_token=with_token,
    )


def nothing_serves_page(model: str, below: str) -> str:
    """What a person sees who opens the page of a model of which no version serves.

    Args:
        model: As the address has it; it may be the name of nothing.
        below: The path below which the gateway answers, such as `/staging`.
    """
    return TEMPLATES.get_template("nothing_serves.html").render(model=model, below=below)
