"""Instances and labels against the JSON Schemas of a route, with messages that name the field."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from perennial_gateway.value_types import Inexact, ValueTypes
from perennial_gateway.web import Refused

MOST_INSTANCES = 64
MOST_LABELS = 1000
SHOWN = 80
INAPPLICABLE = (Unresolvable, RecursionError)
"""A schema that refers to what there is not, or to itself so often that Python gives up."""


class Schema:
    """A compiled JSON Schema. It resolves no reference by itself: nothing is fetched from anywhere.

    What is valid is decided by `jsonschema_rs`, in a hundredth of the time of `jsonschema`, which says what
    is wrong with what is not.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.document = schema
        formats = Draft202012Validator.FORMAT_CHECKER
        try:
            Draft202012Validator.check_schema(schema)
            self._explains = Draft202012Validator(schema, registry=Registry(), format_checker=formats)
            self._types = ValueTypes(schema)
        except SchemaError as error:
            raise Refused(422, f"This is not a JSON Schema: {error.message}.") from error
        except INAPPLICABLE as error:
            raise Refused(422, f"This JSON Schema cannot be applied: {_told(error)}.") from error
        self._is_valid = _compiled(schema) or self._explains.is_valid

    def accept(self, value: Any) -> Any:
        """The value with each number in the type that the schema gives it.

        Raises:
            Unacceptable: It breaks the schema, or a number cannot have its type; the message names the place.
        """
        try:
            if not self._is_valid(value):
                raise self._fault(value)
        except INAPPLICABLE as fault:
            raise Unacceptable(f"the schema cannot be applied to it: {_told(fault)}") from fault
        return self.typed(value)

    def fitting(self, value: Any) -> Any:
        """The same without a word of what is wrong, which takes a hundred times longer to find.

        Raises:
            Unacceptable: As `accept`.
        """
        try:
            if not self._is_valid(value):
                raise Unacceptable("it does not match the schema")
        except INAPPLICABLE as fault:
            raise Unacceptable(f"the schema cannot be applied to it: {_told(fault)}") from fault
        return self.typed(value)

    def _fault(self, value: Any) -> "Unacceptable":
        error = best_match(self._explains.iter_errors(value))
        if error is None:  # the two do not read one of its patterns or formats alike
            return Unacceptable("it does not match the schema")
        return Unacceptable(_at_place(error.absolute_path, _short_fault(error)))

    def typed(self, value: Any) -> Any:
        """The same of a value that the schema need not hold for, because it is our own model's.

        Raises:
            Unacceptable: A number cannot have its type, or the schema leads nowhere.
        """
        try:
            return self._types.typed(value)
        except Inexact as error:
            raise Unacceptable(_at_place(error.path, str(error))) from error
        except INAPPLICABLE as error:
            raise Unacceptable(f"the schema cannot be applied to it: {_told(error)}") from error


def _compiled(schema: dict[str, Any]) -> Callable[[Any], bool] | None:
    """The schema as `jsonschema_rs` has it; None where it cannot read it, as with a pattern of Python's."""
    try:
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True).is_valid
    except (jsonschema_rs.ValidationError, ValueError):
        return None


class Unacceptable(ValueError):
    """What is wrong with a value, and where."""


def _told(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the two together are nested too deep"
    return f"it refers to what there is not ({error})"


def _at_place(path: Iterable[str | int], fault: str) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{place}: {fault}" if place else fault


def _short_fault(error: ValidationError) -> str:
    """The fault; values of a request may be long or private, so that little of them is shown."""
    if error.instance is None or isinstance(error.instance, bool):
        return error.message.replace(repr(error.instance), json.dumps(error.instance), 1)
    shown = repr(error.instance)
    if len(shown) <= SHOWN:
        return error.message
    return error.message.replace(shown, f"{shown[:SHOWN]}… ({len(shown)} characters)")


def instances_of(document: Any, schema: Schema) -> list[dict[str, Any]]:
    """The instances of a prediction request, each checked, its numbers in the types of the schema.

    Raises:
        Refused: 422, with the number of the instance (from 0) and the field.
    """
    instances = list_of(document, "instances", MOST_INSTANCES, '{"instances": [{...}]}')
    return [_accept_instance(number, instance, schema) for number, instance in enumerate(instances)]


def _accept_instance(number: int, instance: Any, schema: Schema) -> Any:
    try:
        return schema.accept(instance)
    except Unacceptable as error:
        message = f"Instance {number} breaks the model's input schema: {error}."
        raise Refused(422, message, instance=number) from error


def labels_of(document: Any) -> list[tuple[str, Any]]:
    """The prediction ids and labels of a feedback request; the labels are not checked yet.

    Raises:
        Refused: 422, with the number of the item (from 0).
    """
    items = list_of(document, "feedback", MOST_LABELS, '{"feedback": [{"prediction_id": "…", "label": …}]}')
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
    return [(item["prediction_id"], item["label"]) for item in items]


def accepted_labels(
    pairs: Iterable[tuple[str, Any]], versions: Mapping[str, str], schemas: Mapping[str, Schema]
) -> list[tuple[str, Any]]:
    """Each label checked by the schema of the version that answered, numbers in its types.

    Args:
        versions: The version that made each prediction.
        schemas: The label schema of each version.

    Raises:
        Refused: 422, with the number of the item (from 0).
    """
    accepted = []
    for number, (prediction_id, label) in enumerate(pairs):
        version = versions[prediction_id]
        try:
            accepted.append((prediction_id, schemas[version].accept(label)))
        except Unacceptable as error:
            message = f"The label of item {number} breaks the label schema of version {version}: {error}."
            raise Refused(422, message, item=number) from error
    return accepted


def typed_answer(answer: dict[str, Any], labels: Schema) -> dict[str, Any]:
    """What the model answered: the prediction in the type of a label, the score as a float or None.

    Raises:
        Refused: 502; the handler answered with something that is neither.
    """
    score = answer.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        raise Refused(502, f"The model's handler answered the score {score!r}, which is no number.")
    try:
        prediction = labels.typed(answer["prediction"])
    except Unacceptable as error:
        raise Refused(502, f"The model's handler answered a prediction that is no label: {error}.") from error
    return {**answer, "prediction": prediction, "score": None if score is None else float(score)}


def list_of(document: Any, field: str, most: int, form: str) -> Sequence[Any]:
    """The list that is all a body has.

    Raises:
        Refused: 422; it has something else, nothing, or more than `most`.
    """
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
