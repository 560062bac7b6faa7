"""The pages: which models are served, how to call them, and all that one can be asked.

They load nothing from anywhere, and the policy that goes with them lets a browser load nothing.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from perennial_gateway.routes import Served

TEMPLATES = Environment(
    loader=PackageLoader("perennial_gateway"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
TEMPLATES.filters["as_json"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)


def _policy() -> str:
    style = TEMPLATES.get_template("style.css").render().encode()
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"


HEADERS = {"Content-Security-Policy": _policy(), "Referrer-Policy": "no-referrer"}
"""Of every page."""


def docs_page(model: str, document: dict[str, Any], below: str = "") -> str:
    """The page of one model's OpenAPI document."""
    return TEMPLATES.get_template("docs.html").render(model=model, document=document, below=below)


def page(
    models: Sequence[Served],
    host: str,
    below: str = "",
    *,
    with_token: bool,
    with_user_page: bool = True,
) -> str:
    """The page, for a client that reached the gateway as `host`.

    Args:
        below: The path below which it answers, such as `/staging`.
        with_token: Whether the calls need a token.
        with_user_page: Whether each model has a page for its users.
    """
    shown = [_shown(served, f"{host}{below}", with_token=with_token) for served in models]
    return TEMPLATES.get_template("page.html").render(
        models=shown, with_token=with_token, with_user_page=with_user_page, below=below
    )


def _shown(served: Served, host: str, *, with_token: bool) -> dict[str, Any]:
    route = served.route
    base = f"http://{host}/v1/models/{route.model}"
    instances = {"instances": [route.input_example]}
    labels = {
        "feedback": [{"prediction_id": "<from the answer>", "label": example_label(route.label_schema)}]
    }
    return {
        "route": route,
        "since": served.since,
        "predict": _curl(f"{base}/predict", instances, with_token=with_token),
        "feedback": _curl(f"{base}/feedback", labels, with_token=with_token),
        "schema": json.dumps(route.input_schema, indent=2),
    }


def _curl(url: str, body: object, *, with_token: bool) -> str:
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    bearer = '  -H "Authorization: Bearer $PREDICTION_TOKEN" \\\n' if with_token else ""
    return f"curl -X POST {url} \\\n{bearer}  -H 'Content-Type: application/json' \\\n  -d '{text}'"


def example_label(schema: dict[str, Any]) -> Any:
    """A label for the example: one that the schema names, else a number or a placeholder."""
    named = schema.get("enum") or schema.get("examples")
    if named:
        return named[-1]
    return schema.get("minimum", 0) if schema.get("type") in {"integer", "number"} else "<label>"
