"""What the gateway offers, as OpenAPI 3.1: made of the routes' schemas, so that it says what is checked.

Every status that can be answered is declared with its body, the faults (5xx) too: a client, and a test, may
take anything else for a bug.

Source: OpenAPI Specification 3.1.1, OpenAPI Initiative, 24 October 2024.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from perennial_gateway.deadline import HEADER
from perennial_gateway.routes import Route
from perennial_gateway.schemas import MOST_INSTANCES, MOST_LABELS
from perennial_gateway.splits import VERSION_HEADER

JSON, NDJSON = "application/json", "application/x-ndjson"
REF = {"$ref": "#/components/schemas/Error"}
ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
TIME = {"type": "string", "format": "date-time"}
TEXT = {"type": "string"}
VERSION = {"type": "string", "maxLength": 63, "pattern": "^[^\\u0000]*$"}
COUNT = {"type": "integer", "minimum": 0}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "What was found, and what to do."}},
}
FAULTS = {
    400: "The body is not JSON, or ended early.",
    401: "No token, an unknown one, or one that has ended or was revoked.",
    403: "The token is not for this, or not for this model.",
    404: "No such model is served, or none of its predictions has such an id.",
    405: "Another method is meant.",
    408: "The body took too long to come.",
    413: "The body is larger than the token may send.",
    415: "The body is not of the content type that is expected.",
    422: "The request breaks the model's schema, or a parameter is wrong; the sentence says where.",
    429: "The token has sent more than it may.",
    500: "The model failed on an instance, or the gateway at the request.",
    502: "The model answered something that is no answer.",
    503: "The serving backend, or the gateway's database, does not answer. Nothing was accepted.",
    504: "The model did not answer in time.",
}
WAITS = (429, 503, 504)
READS = (401, 403, 404, 405, 422, 429, 500, 503)
WRITES = (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503)
PREDICTS = (*WRITES, 502, 504)


class About(NamedTuple):
    """What is said of the gateway that answers.

    Attributes:
        below: The path below which it answers, such as `/staging`.
        with_token: Whether the calls need a token.
        explains: Whether it explains answers.
    """

    below: str = ""
    with_token: bool = True
    explains: bool = True


def of_model(route: Route, about: About) -> dict[str, Any]:
    """The document of one model."""
    title = f"{route.model}, version {route.model_version}"
    return _document(title, route.model_version, paths_of(route, about), about)


def of_gateway(routes: Iterable[Route], about: About) -> dict[str, Any]:
    """The document of everything that users may ask."""
    paths = {
        "/v1/models": {"get": _read("models", "The models that are served.", _listed("models", SUMMARY), ())},
        "/v1/token": {"get": _token()},
        "/healthz": {"get": _open("healthz", "Whether the gateway is well.", JSON, {"type": "object"})},
        "/metrics": {"get": _open("metrics", "Counters and latencies for Prometheus.", "text/plain", TEXT)},
        "/openapi.json": {"get": _open("openapi", "This document.", JSON, {"type": "object"})},
    }
    for route in routes:
        paths |= paths_of(route, about)
    return _document("Perennial gateway", "1", paths, about)


def _document(title: str, version: str, paths: Mapping[str, Any], about: About) -> dict[str, Any]:
    bearer = {"type": "http", "scheme": "bearer", "description": "From who runs this platform."}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": about.below or "/"}],
        "paths": dict(paths),
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": {"token": bearer}},
        "security": [{"token": []}] if about.with_token else [],
    }


def paths_of(route: Route, about: About) -> dict[str, Any]:
    """What can be asked of a model."""
    base = f"/v1/models/{route.model}"
    for_people = {
        f"{base}/explain": {"post": _explain(route)},
        f"{base}/page": {
            "get": _open(f"{route.model}_page", "The page for its users.", "text/html", TEXT, 404)
        },
    }
    return {
        f"{base}/predict": {"post": _predict(route)},
        f"{base}:predict_batch": {"post": _predict_batch(route)},
        f"{base}/feedback": {"post": _feedback(route)},
        **(for_people if about.explains else {}),
        f"{base}/predictions": {"get": _predictions(route)},
        f"{base}/statistics": {"get": _statistics(route)},
        base: {"get": _read(f"{route.model}_model", "The version that serves, and its schemas.", SUMMARY)},
        f"{base}/openapi.json": {
            "get": _open(
                f"{route.model}_openapi", "This model's own document.", JSON, {"type": "object"}, 404
            )
        },
    }


SUMMARY = {
    "type": "object",
    "required": ["model", "model_version", "run_id", "archive_sha256", "serving_since"],
    "properties": dict.fromkeys(("model", "model_version", "run_id", "archive_sha256"), TEXT)
    | {"serving_since": TIME},
}


def _predict(route: Route) -> dict[str, Any]:
    instances = _list(embedded(route.input_schema, route.model, "input"), MOST_INSTANCES)
    asked = {
        "type": "object",
        "required": ["instances"],
        "additionalProperties": False,
        "properties": {"instances": instances},
    }
    told = {
        "type": "object",
        "required": ["model", "model_version", "run_id", "predictions"],
        "properties": {
            "model": TEXT,
            "model_version": TEXT,
            "run_id": TEXT,
            "predictions": {"type": "array", "items": _prediction()},
        },
    }
    example = {"instances": [route.input_example]}
    return {
        "operationId": f"{route.model}_predict",
        "summary": "Ask for predictions; all instances are answered, or none.",
        "parameters": _CALLER,
        "requestBody": _body(asked, example),
        "responses": _responses(200, "The predictions, in the order of the instances.", told, PREDICTS),
    }


def _explain(route: Route) -> dict[str, Any]:
    asked = {
        "type": "object",
        "required": ["instance"],
        "additionalProperties": False,
        "properties": {"instance": embedded(route.input_schema, route.model, "input")},
    }
    effect = "What the part adds to the figure of the answer; null where it has none."
    place: dict[str, Any] = {
        "field": TEXT,
        "value": {"description": "The field's value; of a text the words that were cut out."},
        "start": COUNT | {"description": "Of words: their first character in the text, from 0."},
        "end": COUNT | {"description": "Of words: the character behind them."},
    }
    part = {
        "type": "object",
        "required": ["field", "value", "effect", "prediction"],
        "properties": place
        | {
            "left_out": {"type": "boolean", "description": "The field was left out."},
            "replaced_by": {"description": "What the field held instead."},
            "effect": {"type": ["number", "null"], "description": effect},
            "prediction": {"description": "The answer without the part."},
        },
    }
    why = "No other value keeps the schema; more parts than one request may ask; the model gave no answer."
    untried = {
        "type": "object",
        "required": ["reason"],
        "properties": place
        | {"reason": {"enum": ["nothing_fits", "no_room", "no_answer"], "description": why}},
    }
    kept = _prediction()["properties"]
    told = {
        "type": "object",
        "required": [
            "model_version",
            "method",
            "prediction",
            "score",
            "figure",
            "parts",
            "not_tried",
            "not_tried_parts",
        ],
        "properties": dict.fromkeys(("model", "model_version", "run_id", "method"), TEXT)
        | {
            "prediction": kept["prediction"],
            "score": kept["score"],
            "figure": {"enum": ["scores", "score", "prediction", None]},
            "parts": {"type": "array", "items": part},
            "not_tried": COUNT | {"description": "Parts that the answer was not asked without."},
            "not_tried_parts": {"type": "array", "items": untried},
        },
    }
    return {
        "operationId": f"{route.model}_explain",
        "summary": "What each word or field adds to an answer, by leaving it out; nothing is logged.",
        "parameters": _CALLER,
        "requestBody": _body(asked, {"instance": route.input_example}),
        "responses": _responses(200, "The answer, and what each part adds to it.", told, PREDICTS),
    }


def _predict_batch(route: Route) -> dict[str, Any]:
    schema = embedded(route.input_schema, route.model, "input")
    lines = {
        "schema": {"type": "string", "pattern": "[^ \\n]", "description": "One instance a line, as JSON."},
        "example": orjson.dumps(route.input_example).decode(),
    }
    whole = {
        "type": "object",
        "required": ["instances"],
        "additionalProperties": False,
        "properties": {"instances": _list(schema, None)},
    }
    body = {"required": True, "content": {NDJSON: lines, JSON: {"schema": whole}}}
    told = "A line for each instance, in their order: its prediction, or its `error` and `status`. The last "
    return {
        "operationId": f"{route.model}_predict_batch",
        "summary": "Ask for many predictions; each instance is answered or refused by itself.",
        "requestBody": body,
        "responses": _responses(200, f"{told}line counts them.", TEXT, PREDICTS, kind=NDJSON),
    }


def _feedback(route: Route) -> dict[str, Any]:
    label = embedded(route.label_schema, route.model, "label")
    item = {
        "type": "object",
        "required": ["prediction_id", "label"],
        "additionalProperties": False,
        "properties": {"prediction_id": ID, "label": label},
    }
    asked = {
        "type": "object",
        "required": ["feedback"],
        "additionalProperties": False,
        "properties": {"feedback": _list(item, MOST_LABELS)},
    }
    told = {"type": "object", "required": ["accepted"], "properties": {"accepted": COUNT}}
    return {
        "operationId": f"{route.model}_feedback",
        "summary": "Say what was true, now or later; the last label of a prediction counts.",
        "requestBody": _body(asked),
        "responses": _responses(202, "The labels are kept.", told, WRITES),
    }


def _predictions(route: Route) -> dict[str, Any]:
    row = _prediction()
    row["properties"] |= {"predicted_at": TIME, "model_version": TEXT, "run_id": TEXT, "features": {}}
    told = _listed("predictions", row)
    told["properties"]["next_cursor"] = {"type": ["string", "null"]}
    asked = [
        _query("version", "Only those of this version.", VERSION),
        *_WINDOW,
        _query("limit", "How many, at most 1,000.", {"type": "integer", "minimum": 1, "maximum": 1000}),
        _query("cursor", "`next_cursor` of the page before.", ID),
    ]
    return _read(f"{route.model}_predictions", "The predictions that were made, newest first.", told, asked)


def _statistics(route: Route) -> dict[str, Any]:
    when = {"type": ["string", "null"], "format": "date-time"}
    version = {
        "type": "object",
        "required": ["model_version", "predictions", "first_at", "last_at", "failed_requests", "labelled"],
        "additionalProperties": False,
        "properties": {
            "model_version": TEXT,
            "predictions": COUNT,
            "first_at": when,
            "last_at": when,
            "failed_requests": COUNT,
            "labelled": COUNT,
            "correctness": _interval("The share of right answers; null where no label has come."),
            "mean_absolute_error": _interval("Of numbers; null where no label has come."),
        },
    }
    told = _listed("versions", version)
    says = "How many predictions each version made, and how right they were, with 95 % intervals."
    return _read(f"{route.model}_statistics", says, told, _WINDOW)


def _interval(description: str) -> dict[str, Any]:
    number = {"type": ["number", "null"]}
    return {
        "type": ["object", "null"],
        "description": f"{description} With its 95 % interval.",
        "properties": {"value": {"type": "number"}, "low": number, "high": number},
    }


def embedded(schema: dict[str, Any], model: str, which: str) -> dict[str, Any]:
    """A model's schema as a part of the document. One that refers to its own parts gets a name, so that they
    are looked for in it and not in the document.
    """
    if "$id" in schema or "$ref" not in str(schema):
        return schema
    return {"$id": f"urn:perennial:{model}:{which}"} | schema


def _prediction() -> dict[str, Any]:
    scores = {"type": "object", "additionalProperties": {"type": "number"}}
    return {
        "type": "object",
        "required": ["prediction_id", "prediction", "score"],
        "properties": {
            "prediction_id": ID,
            "prediction": {"description": "As the label schema has it, where the model keeps to it."},
            "score": {"type": ["number", "null"]},
            "scores": scores,
        },
    }


def _list(items: Any, most: int | None) -> dict[str, Any]:
    bounds = {"minItems": 1} if most is None else {"minItems": 1, "maxItems": most}
    return {"type": "array", "items": items, **bounds}


def _listed(name: str, items: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": items}},
    }


def _body(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {JSON: content}}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_WINDOW = [
    _query("since", "Only those made then or later.", TIME),
    _query("until", "Only those made before.", TIME),
]
_SECONDS = {"type": "number", "exclusiveMinimum": 0}
_CALLER = [
    {"name": HEADER, "in": "header", "description": "Seconds that the caller waits.", "schema": _SECONDS},
    {"name": "traceparent", "in": "header", "description": "W3C trace context.", "schema": TEXT},
    {
        "name": VERSION_HEADER.decode().title(),
        "in": "header",
        "description": "For testers: which version is to answer while a release is under way; 404 where it "
        "answers nobody.",
        "schema": VERSION,
    },
]


def _read(
    operation: str, summary: str, told: dict[str, Any], asked: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": list(asked),
        "responses": _responses(200, summary, told, READS),
    }


def _token() -> dict[str, Any]:
    responses = {str(fault): _fault(fault) for fault in (401, 405, 500, 503)}
    return {
        "operationId": "token",
        "summary": "Whether the token is known. Asking counts for no limit.",
        "responses": {"204": {"description": "It is."}} | responses,
    }


def _open(operation: str, summary: str, kind: str, told: dict[str, Any], *faults: int) -> dict[str, Any]:
    """What everybody may ask, without a token."""
    responses = _responses(200, summary, told, (405, 500, 503, *faults), kind=kind)
    return {"operationId": operation, "summary": summary, "security": [], "responses": responses}


def _responses(
    status: int, description: str, schema: dict[str, Any], faults: Iterable[int], *, kind: str = JSON
) -> dict[str, Any]:
    done = {"description": description, "content": {kind: {"schema": schema}}}
    return {str(status): done} | {str(fault): _fault(fault) for fault in sorted(faults)}


def _fault(status: int) -> dict[str, Any]:
    fault: dict[str, Any] = {"description": FAULTS[status], "content": {JSON: {"schema": REF}}}
    if status in WAITS:
        seconds = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        fault["headers"] = {"Retry-After": seconds}
    return fault
