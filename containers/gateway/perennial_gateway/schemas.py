"""Instances and labels against the JSON Schemas of a route, with messages that name the field."""

from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry

from perennial_gateway.asgi import Refused

MOST_INSTANCES = 64
MOST_LABELS = 1000
SHOWN = 80


class Schema:
    """A compiled JSON Schema. It resolves no reference by itself: nothing is fetched from anywhere."""

    def __init__(self, schema: dict[str, Any]) -> None:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise Refused(422, f"This is not a JSON Schema: {error.message}.") from error
        formats = Draft202012Validator.FORMAT_CHECKER
        self._validator = Draft202012Validator(schema, registry=Registry(), format_checker=formats)

    def fault(self, value: Any) -> str | None:
        """What is wrong with `value`, or None."""
        if self._validator.is_valid(value):
            return None
        error = best_match(self._validator.iter_errors(value))
        return None if error is None else _sentence(error)


def _sentence(error: ValidationError) -> str:
    """The fault with its place; values of a request may
    be long or private, so that little of them is shown.
    """
    place = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path
    ).lstrip(".")
    message = error.message
    shown = repr(error.instance)
    if len(shown) > SHOWN:
        message = message.replace(shown, f"{shown[:SHOWN]}… ({len(shown)} characters)")
    return f"{place}: {message}" if place else message


def instances_of(document: Any, schema: Schema) -> list[dict[str, Any]]:
    """The instances of a prediction request, each checked.

    Raises:
        Refused: 422, with the number of the instance (from 0) and the field.
    """
    instances = _list_of(document, "instances", MOST_INSTANCES, '{"instances": [{...}]}')
    for number, instance in enumerate(instances):
        fault = schema.fault(instance)
        if fault:
            raise Refused(
                422, f"Instance {number} breaks the model's input schema: {fault}.", instance=number
            )
    return instances


def labels_of(document: Any, schema: Schema) -> list[tuple[str, Any]]:
    """The prediction ids and labels of a feedback request, each checked.

    Raises:
        Refused: 422, with the number of the item (from 0).
    """
    items = _list_of(document, "feedback", MOST_LABELS, '{"feedback": [{"prediction_id": "…", "label": …}]}')
    pairs = []
    for number, item in enumerate(items):
        if (
            not isinstance(item, dict)
            or set(item) != {"prediction_id", "label"}
            or not isinstance(item["prediction_id"], str)
        ):
            raise Refused(
                422,
                f"Item {number} is not an object with exactly prediction_id (a string) and label.",
                item=number,
            )
        fault = schema.fault(item["label"])
        if fault:
            raise Refused(
                422, f"The label of item {number} breaks the model's label schema: {fault}.", item=number
            )
        pairs.append((item["prediction_id"], item["label"]))
    return pairs


def _list_of(document: Any, field: str, most: int, form: str) -> Sequence[Any]:
    if not isinstance(document, dict):
        raise Refused(422, f"The body is not a JSON object. Send {form}.")
    if set(document) != {field}:
        raise Refused(422, f"The body has the fields {sorted(document)}, not {field!r} alone. Send {form}.")
    items = document[field]
    if not isinstance(items, list) or not items:
        raise Refused(422, f"{field!r} is not a list with at least one entry. Send {form}.")
    if len(items) > most:
        raise Refused(422, f"{field!r} has {len(items)} entries; at most {most} are taken at a time.")
    return items
