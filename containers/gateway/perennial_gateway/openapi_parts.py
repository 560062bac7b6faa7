"""What the calls of an OpenAPI document are put together from: schemas, parameters, answers and faults."""

from collections.abc import Iterable
from typing import Any

from perennial_gateway.deadline import HEADER
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

SUMMARY = {
    "type": "object",
    "required": ["model", "model_version", "run_id", "archive_sha256", "serving_since"],
    "properties": dict.fromkeys(("model", "model_version", "run_id", "archive_sha256"), TEXT)
    | {"serving_since": TIME},
}


def interval(description: str) -> dict[str, Any]:
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


def prediction() -> dict[str, Any]:
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


def array(items: Any, most: int | None) -> dict[str, Any]:
    bounds = {"minItems": 1} if most is None else {"minItems": 1, "maxItems": most}
    return {"type": "array", "items": items, **bounds}


def listed(name: str, items: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": items}},
    }


def body(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {JSON: content}}


def query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


WINDOW = [
    query("since", "Only those made then or later.", TIME),
    query("until", "Only those made before.", TIME),
]
SECONDS = {"type": "number", "exclusiveMinimum": 0}
CALLER = [
    {"name": HEADER, "in": "header", "description": "Seconds that the caller waits.", "schema": SECONDS},
    {"name": "traceparent", "in": "header", "description": "W3C trace context.", "schema": TEXT},
    {
        "name": VERSION_HEADER.decode().title(),
        "in": "header",
        "description": "For testers: which version is to answer while a release is under way; 404 where it "
        "answers nobody.",
        "schema": VERSION,
    },
]


def read(
    operation: str, summary: str, told: dict[str, Any], asked: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": list(asked),
        "responses": responses_of(200, summary, told, READS),
    }


def token() -> dict[str, Any]:
    responses = {str(fault): _fault(fault) for fault in (401, 405, 500, 503)}
    return {
        "operationId": "token",
        "summary": "Whether the token is known. Asking counts for no limit.",
        "responses": {"204": {"description": "It is."}} | responses,
    }


def open_to_all(
    operation: str, summary: str, kind: str, told: dict[str, Any], *faults: int
) -> dict[str, Any]:
    """What everybody may ask, without a token."""
    responses = responses_of(200, summary, told, (405, 500, 503, *faults), kind=kind)
    return {"operationId": operation, "summary": summary, "security": [], "responses": responses}


def responses_of(
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
