"""What can be asked of a model, each as an operation of OpenAPI, made of the schemas of its route."""

from typing import Any

import orjson

from perennial_gateway.openapi_parts import (
    CALLER,
    COUNT,
    ID,
    JSON,
    NDJSON,
    PREDICTS,
    TEXT,
    TIME,
    VERSION,
    WINDOW,
    WRITES,
    array,
    body,
    embedded,
    interval,
    listed,
    prediction,
    query,
    read,
    responses_of,
)
from perennial_gateway.routes import Route
from perennial_gateway.schemas import MOST_INSTANCES, MOST_LABELS


def predict(route: Route) -> dict[str, Any]:
    instances = array(embedded(route.input_schema, route.model, "input"), MOST_INSTANCES)
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
            "predictions": {"type": "array", "items": prediction()},
        },
    }
    example = {"instances": [route.input_example]}
    return {
        "operationId": f"{route.model}_predict",
        "summary": "Ask for predictions; all instances are answered, or none.",
        "parameters": CALLER,
        "requestBody": body(asked, example),
        "responses": responses_of(200, "The predictions, in the order of the instances.", told, PREDICTS),
    }


def explain(route: Route) -> dict[str, Any]:
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
    kept = prediction()["properties"]
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
        "parameters": CALLER,
        "requestBody": body(asked, {"instance": route.input_example}),
        "responses": responses_of(200, "The answer, and what each part adds to it.", told, PREDICTS),
    }


def predict_batch(route: Route) -> dict[str, Any]:
    schema = embedded(route.input_schema, route.model, "input")
    lines = {
        "schema": {"type": "string", "pattern": "[^ \\n]", "description": "One instance a line, as JSON."},
        "example": orjson.dumps(route.input_example).decode(),
    }
    whole = {
        "type": "object",
        "required": ["instances"],
        "additionalProperties": False,
        "properties": {"instances": array(schema, None)},
    }
    body = {"required": True, "content": {NDJSON: lines, JSON: {"schema": whole}}}
    told = "A line for each instance, in their order: its prediction, or its `error` and `status`. The last "
    return {
        "operationId": f"{route.model}_predict_batch",
        "summary": "Ask for many predictions; each instance is answered or refused by itself.",
        "requestBody": body,
        "responses": responses_of(200, f"{told}line counts them.", TEXT, PREDICTS, kind=NDJSON),
    }


def feedback(route: Route) -> dict[str, Any]:
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
        "properties": {"feedback": array(item, MOST_LABELS)},
    }
    told = {"type": "object", "required": ["accepted"], "properties": {"accepted": COUNT}}
    return {
        "operationId": f"{route.model}_feedback",
        "summary": "Say what was true, now or later; the last label of a prediction counts.",
        "requestBody": body(asked),
        "responses": responses_of(202, "The labels are kept.", told, WRITES),
    }


def predictions(route: Route) -> dict[str, Any]:
    row = prediction()
    row["properties"] |= {"predicted_at": TIME, "model_version": TEXT, "run_id": TEXT, "features": {}}
    told = listed("predictions", row)
    told["properties"]["next_cursor"] = {"type": ["string", "null"]}
    asked = [
        query("version", "Only those of this version.", VERSION),
        *WINDOW,
        query("limit", "How many, at most 1,000.", {"type": "integer", "minimum": 1, "maximum": 1000}),
        query("cursor", "`next_cursor` of the page before.", ID),
    ]
    return read(f"{route.model}_predictions", "The predictions that were made, newest first.", told, asked)


def statistics(route: Route) -> dict[str, Any]:
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
            "correctness": interval("The share of right answers; null where no label has come."),
            "mean_absolute_error": interval("Of numbers; null where no label has come."),
        },
    }
    told = listed("versions", version)
    says = "How many predictions each version made, and how right they were, with 95 % intervals."
    return read(f"{route.model}_statistics", says, told, WINDOW)
