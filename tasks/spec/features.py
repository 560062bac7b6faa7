"""A feature has one type, from pipeline.yaml to the gateway, the model, the log and the table."""

from collections.abc import Iterator
from typing import Any

from tasks.spec.base import ColumnType
from tasks.spec.data import DataSpec
from tasks.spec.json_schema import fault_of_value
from tasks.spec.serving import ServingSpec, as_set

JSON_TYPES: dict[ColumnType, str] = {
    "string": "string",
    "int64": "integer",
    "float64": "number",
    "bool": "boolean",
    "timestamp": "string",
    "date": "string",
}
"""What a column is called in a JSON Schema.

The gateway gives a number the type that its schema names, and the evaluation the one of its column: these two
have to be the same, or what is judged is not what serves.
"""


def faults_of_features(data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    """Features whose schema names another type than their column has; each as `field: what is wrong`."""
    properties = serving.input_schema.get("properties", {})
    for name, kind in data.feature_types.items():
        schema = properties.get(name)
        if not isinstance(schema, dict) or "type" not in schema:
            continue
        if others := as_set(schema["type"]) - {JSON_TYPES[kind], "null"}:
            found = ", ".join(sorted(others))
            yield (
                f"serving.input_schema: {name} may be of type {found}, but the column {name} is {kind}; "
                f"write type: {JSON_TYPES[kind]}, or change the column's type"
            )


def faults_of_instances(data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    """Where an instance that the schema lets pass is another one than the model is judged on; each as `field:
    what is wrong`.
    """
    schema, features = serving.input_schema, set(data.features)
    if as_set(schema["type"]) != {"object"}:
        yield "serving.input_schema.type: an instance is an object; write type: object"
        return
    if beyond := sorted(set(schema.get("required", ())) - features):
        yield (
            f"serving.input_schema.required: {beyond} are not among data.features {sorted(features)}, so the "
            "model is judged without them; make them features, or do not require them"
        )
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if closed and (barred := sorted(features - set(schema.get("properties", {})))):
        yield (
            f"serving.input_schema.properties: the features {barred} are not there, and additionalProperties "
            "is false, so no request can carry them; add them"
        )


def faults_of_example(serving: ServingSpec) -> Iterator[str]:
    """What the gateway would refuse in the instance that each deployment is tried with."""
    try:
        error = fault_of_value(serving.input_example, serving.input_schema)
    except ValueError as fault:
        yield f"serving.input_schema: cannot be applied to serving.input_example: {fault}"
        return
    if error:
        place = ".".join(map(str, ("serving.input_example", *error.absolute_path)))
        yield f"{place}: breaks serving.input_schema: {error.message}"


def typed_numbers(example: dict[str, Any], data: DataSpec) -> dict[str, int | float]:
    """The numbers of an instance in their columns' types: YAML reads 3 as an integer, whatever its column."""
    typed: dict[str, int | float] = {}
    for name, kind in data.feature_types.items():
        value = example.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if kind == "float64":
            typed[name] = float(value)
        elif kind == "int64" and isinstance(value, float) and value.is_integer():
            typed[name] = int(value)
    return typed
