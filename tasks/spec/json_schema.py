"""The JSON Schemas within the files of a model: whether they are any, and what one says of a value."""

import json
from typing import Annotated, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from pydantic import AfterValidator
from referencing import Registry


def require_schema(schema: dict[str, Any]) -> None:
    """Refuse what is no JSON Schema, or is one that JSON cannot hold.

    Raises:
        ValueError: What is wrong with it.
    """
    _require_json(schema)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"this is not a JSON Schema: {error.message}") from error
    except RecursionError as error:
        raise ValueError("this JSON Schema is nested too deep to be checked") from error


def fault_of_value(value: Any, schema: dict[str, Any]) -> ValidationError | None:
    """What is wrong with a value by a sound schema, whose references lead nowhere but into itself.

    Raises:
        ValueError: The schema cannot be applied, for a reference that leads nowhere or for ever in a circle.
    """
    formats = Draft202012Validator.FORMAT_CHECKER
    known = Draft202012Validator(schema, registry=Registry(), format_checker=formats)
    try:
        worst: ValidationError | None = best_match(known.iter_errors(value))
    except Exception as error:
        raise ValueError(
            f"{type(error).__name__}: {error}; let each $ref lead to a definition in the schema itself"
        ) from error
    return worst


def _require_json(value: dict[str, Any]) -> dict[str, Any]:
    """YAML knows more than JSON does: dates, sets, infinity, and keys that are no texts."""
    try:
        held = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {error}; put dates in quotes") from error
    if held != value:
        raise ValueError(
            "this is not JSON: each key of it has to be a text; put numbers, yes and no in quotes"
        )
    return value


def _with_a_type(schema: dict[str, Any]) -> dict[str, Any]:
    _require_json(schema)
    if schema.get("type") is None:
        raise ValueError("a JSON Schema with a `type` is expected")
    require_schema(schema)
    return schema


JsonObject = Annotated[dict[str, Any], AfterValidator(_require_json)]
JsonSchema = Annotated[dict[str, Any], AfterValidator(_with_a_type)]
