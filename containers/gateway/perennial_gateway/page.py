"""The page at `/`: which models are served, and how to call them. It loads nothing from anywhere."""

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


def page(models: Sequence[Served], host: str, *, with_token: bool) -> str:
    """The page, for a client that reached the gateway as `host`.

    Args:
        with_token: Whether the calls need a token.
    """
    shown = [_shown(served, host, with_token=with_token) for served in models]
    return TEMPLATES.get_template("page.html").render(models=shown, with_token=with_token)


def _shown(served: Served, host: str, *, with_token: bool) -> dict[str, Any]:
    route = served.route
    base = f"http://{host}/v1/models/{route.model}"
    instances = {"instances": [route.input_example]}
    labels = {"feedback": [{"prediction_id": "<from the answer>", "label": _label(served)}]}
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


def _label(served: Served) -> object:
    """A label for the example: one that the schema names, else a placeholder."""
    named = served.route.label_schema.get("enum")
    return named[-1] if isinstance(named, list) and named else "<label>"
