"""The labels that a JSON Schema names, in the order in which classes are counted."""

import json
from collections.abc import Iterable
from typing import Any

MOST_IN_A_RANGE = 1000
"""The most classes that are taken from a schema of integers between a minimum and a maximum."""


def declared_classes(schema: dict[str, Any]) -> tuple[Any, ...] | None:
    """The labels that a schema names: by `enum`, as type boolean, or as integers from `minimum` to `maximum`.

    None where it names none.
    """
    if "enum" in schema:
        return in_order(label for label in schema["enum"] if label is not None)
    types = types_of(schema)
    if types == {"boolean"}:
        return (False, True)
    low, high = schema.get("minimum"), schema.get("maximum")
    if types == {"integer"} and isinstance(low, int) and isinstance(high, int):
        return tuple(range(low, high + 1)) if high - low < MOST_IN_A_RANGE else None
    return None


def in_order(labels: Iterable[Any]) -> tuple[Any, ...]:
    """The distinct labels in order.

    Of two, the second (1, true, the later in the alphabet) is the positive class.
    """
    distinct = set(labels)
    try:
        return tuple(sorted(distinct))
    except TypeError:
        return tuple(sorted(distinct, key=lambda label: (type(label).__name__, str(label))))


def types_of(schema: dict[str, Any]) -> set[str]:
    """A schema's types but null: a label that is null is none."""
    declared = schema["type"]
    return {declared} - {"null"} if isinstance(declared, str) else set(declared) - {"null"}


def label_text(label: Any) -> str:
    """A label as JSON writes it where it is a key: in an answer's `scores`, and in `recall.<class>`."""
    return label if isinstance(label, str) else json.dumps(label)


def named_label(label: Any, schema: dict[str, Any]) -> str:
    """A label as people read it: the title that the schema gives it in `oneOf` or `anyOf`, then the label."""
    alternatives = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    for each in alternatives:
        if isinstance(each, dict) and each.get("title") and each.get("const", each) == label:
            return f"{each['title']} ({label_text(label)})"
    return label_text(label)
