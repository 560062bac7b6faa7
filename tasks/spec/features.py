"""A feature has one type, from pipeline.yaml to the gateway, the model, the log and the table."""

from collections.abc import Iterator
from typing import Any

from tasks.spec.base import ColumnType
from tasks.spec.data import DataSpec
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
