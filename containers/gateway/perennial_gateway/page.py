"""The page at `/`: which models are served, and how to call them. It loads nothing from anywhere."""

import json
from collections.abc import Sequence
from html import escape

from perennial_gateway.routes import Served

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2320; }
h1 { font-weight: 600; } h2 { margin-top: 2.5rem; } code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: #f2f5f3; padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; }
dt { color: #5c6b64; } dd { margin: 0; }
summary { cursor: pointer; color: #2f6b4f; } a { color: #2f6b4f; }
@media (prefers-color-scheme: dark) {
  body { background: #141a17; color: #e2e8e5; } pre { background: #1e2723; } dt { color: #93a39b; }
  summary, a { color: #7fc4a0; }
}
"""


def page(models: Sequence[Served], host: str) -> bytes:
    """The page, for a client that reached the gateway as `host`."""
    sections = "".join(_section(served, host) for served in models)
    nothing = (
        "<p>No model is served yet. The first one appears here when its training DAG has deployed it.</p>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Perennial gateway</title>'
        '<meta name="viewport" '
        f'content="width=device-width"><style>{STYLE}</style></head><body><h1>Perennial gateway</h1>'
        f"<p>{len(models)} served. As JSON: <a href=/v1/models>/v1/models</a> · <a "
        f"href=/healthz>/healthz</a> · <a href=/metrics>/metrics</a></p>{sections or nothing}</body></html>"
    ).encode()


def _section(served: Served, host: str) -> str:
    route = served.route
    base = f"http://{host}/v1/models/{route.model}"
    predict = _curl(f"{base}/predict", {"instances": [route.input_example]})
    feedback = _curl(
        f"{base}/feedback", {"feedback": [{"prediction_id": "<from the answer>", "label": _label(served)}]}
    )
    facts = {
        "Version": route.model_version,
        "Run": route.run_id,
        "Archive (SHA-256)": route.archive_sha256,
        "Serving since": served.since,
    }
    rows = "".join(f"<dt>{name}</dt><dd><code>{escape(value)}</code></dd>" for name, value in facts.items())
    schema = escape(json.dumps(route.input_schema, indent=2))
    return (
        f"<section><h2>{escape(route.model)}</h2><dl>{rows}</dl>"
        f"<p>Ask for a prediction:</p><pre>{escape(predict)}</pre>"
        f"<p>Tell what was right, now or a week later:</p><pre>{escape(feedback)}</pre>"
        f"<details><summary>What an instance looks like</summary><pre>{schema}</pre></details></section>"
    )


def _curl(url: str, body: object) -> str:
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -X POST {url} \\\n  -H 'Content-Type: application/json' \\\n  -d '{text}'"


def _label(served: Served) -> object:
    """A label for the example: one that the schema names, else a placeholder."""
    named = served.route.label_schema.get("enum")
    return named[-1] if isinstance(named, list) and named else "<label>"
