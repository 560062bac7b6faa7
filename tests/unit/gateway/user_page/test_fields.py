"""A form offers all that a schema allows; what it has no field for is asked as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from perennial_gateway.user_page.fields import (
    MOST_CHOICES,
    MOST_FIELDS,
    Field,
    fields_of,
    label_field,
    positive_class,
    resolve,
)

from tests.conftest import PROJECT


def only(schema: Any, *, required: bool = True, beside: bool = True, **root: Any) -> Field:
    """The field of a property `x` with this schema, which is not the only one."""
    properties = {"x": schema} | ({"y": {"type": "integer"}} if beside else {})
    whole = {"type": "object", "properties": properties, "required": ["x"] if required else []} | root
    return fields_of(whole, {})[0]


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "line"),
        ({"type": "string", "maxLength": 20000}, "text"),
        ({"type": "string", "maxLength": 30}, "line"),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "line"),
        ({"type": "integer"}, "integer"),
        ({"type": ["integer", "number"]}, "number"),
        ({"type": "boolean"}, "checkbox"),
        ({"type": "string", "enum": ["a", "b"]}, "choice"),
        ({"const": 3}, "choice"),
        ({"type": "array", "items": {"type": "number"}}, "json"),
        ({"type": "object", "properties": {"deep": {"type": "object"}}}, "json"),
        ({"type": ["string", "integer"]}, "json"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "json"),
        ({"enum": list(range(MOST_CHOICES + 1))}, "json"),
        ({}, "json"),
        (True, "json"),
        ({"$ref": "#/$defs/nowhere"}, "json"),
        ({"$ref": "https://example.org/schema"}, "json"),
    ],
)
def test_each_property_gets_the_field_of_its_type(schema: Any, kind: str) -> None:
    assert only(schema).kind == kind


def test_a_text_alone_gets_an_area_to_write_in() -> None:
    assert only({"type": "string"}, beside=False).kind == "text"
    examples = {"x": "a" * 100, "y": 1}
    schema = {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "integer"}}}
    assert fields_of(schema, examples)[0].kind == "text", "its example is long"


def test_bounds_are_kept_and_told() -> None:
    field = only({"type": "integer", "minimum": 0.5, "maximum": 12, "description": "Of the year."})
    assert (field.low, field.high) == ("1", "12")
    assert field.hint == "Of the year. At least 0.5, at most 12."
    beyond = only({"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5})
    assert (beyond.low, beyond.hint) == (None, "More than 0, a multiple of 0.5.")
    assert only({"type": "string", "minLength": 2, "maxLength": 9}).least == 2


def test_a_choice_that_may_be_left_open_can_be() -> None:
    may_be = only({"type": "boolean"}, required=False)
    assert (may_be.kind, [each.label for each in may_be.choices]) == ("choice", ["yes", "no"])
    nullable = only({"type": ["string", "null"], "enum": ["a", None]})
    assert (nullable.nullable, [each.json for each in nullable.choices]) == (True, ['"a"'])


def test_values_have_the_names_that_their_schema_gives_them() -> None:
    named = {"oneOf": [{"const": 0, "title": "negative"}, {"const": 1, "title": "positive"}]}
    for schema in (named, named | {"enum": [0, 1]}):
        field = label_field(schema)
        assert [(each.json, each.label) for each in field.choices] == [("0", "negative"), ("1", "positive")]
    assert label_field({"type": "integer", "enum": [0, 1], "title": "Late?"}).label == "Late?"
    assert label_field({"type": "boolean"}).kind == "choice", "a box that is not ticked would say no"


@pytest.mark.parametrize(
    ("schema", "positive"),
    [
        ({"enum": [1, 0]}, "1"),
        ({"enum": ["spam", "ham"]}, "spam"),
        ({"type": "boolean"}, "yes"),
        (
            {"enum": [0, 1], "oneOf": [{"const": 0, "title": "on time"}, {"const": 1, "title": "late"}]},
            "late",
        ),
        ({"enum": [0, 1, 2]}, ""),
        ({"enum": [0, "1"]}, ""),
        ({"enum": [[0], [1]]}, ""),
        ({"enum": [[0], 1]}, ""),
        ({"enum": [1, [0]]}, ""),
        ({"type": "number"}, ""),
    ],
)
def test_of_two_classes_the_score_is_the_probability_of_the_second(
    schema: dict[str, Any], positive: str
) -> None:
    assert positive_class(label_field(schema)) == positive


def test_a_reference_is_followed_and_a_circle_is_not() -> None:
    defs = {"$defs": {"month": {"type": "integer", "minimum": 1}, "a/b": {"type": "boolean"}}}
    assert only({"$ref": "#/$defs/month"}, **defs).low == "1"
    assert only({"$ref": "#/$defs/a~1b"}, **defs).kind == "checkbox"
    circle = {
        "$ref": "#/$defs/one",
        "$defs": {"one": {"$ref": "#/$defs/two"}, "two": {"$ref": "#/$defs/one"}},
    }
    assert resolve(circle, circle) == {}
    assert only({"$ref": "#"}).kind == "json"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"properties": {f"p{number}": {} for number in range(MOST_FIELDS + 1)}},
    ],
)
def test_what_is_no_list_of_properties_is_one_field_for_all(schema: dict[str, Any]) -> None:
    [field] = fields_of(schema, {"a": 1})
    assert (field.kind, field.key, field.example, field.name) == ("json", "", '{"a":1}', "")


def test_what_is_long_is_shown_in_part() -> None:
    field = only({"type": "string", "title": "<b>" * 1000, "description": "d" * 9000, "pattern": "p" * 900})
    assert len(field.label) < 400
    assert len(field.hint) < 500
    assert fields_of({"type": "object", "properties": {"x": {}}}, {"x": "e" * 9000})[0].example == ""


@pytest.mark.parametrize(
    "file", sorted((PROJECT / "models").glob("*/pipeline.yaml")), ids=lambda file: file.parent.name
)
def test_every_model_of_ours_has_a_form_without_json(file: Path) -> None:
    serving = yaml.safe_load(file.read_text(encoding="utf-8"))["serving"]
    fields = fields_of(serving["input_schema"], serving["input_example"])
    assert {field.name for field in fields} == set(serving["input_schema"]["properties"])
    assert "json" not in {field.kind for field in [*fields, label_field(serving["label_schema"])]}
    assert all(json.loads(field.example) == serving["input_example"][field.name] for field in fields)


WORDS = ["type", "properties", "enum", "const", "title", "minimum", "minLength", "$ref", "oneOf", "required"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["string", "integer", "object", "null", "#", "#/properties/type"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(schema=st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=4), example=VALUES)
def test_whatever_is_a_schema_has_a_form(schema: dict[str, Any], example: Any) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return  # a route with it is refused
    fields = fields_of(schema, example if isinstance(example, dict) else {})
    assert fields
    label = label_field(schema)
    assert label.label
    assert isinstance(positive_class(label), str)
    assert all(json.loads(field.key) == field.name for field in fields if field.key)
